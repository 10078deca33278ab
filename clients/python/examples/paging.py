"""Going through a store page by page, also from one request of a web server to the next."""

from typing import Optional

import sop

db = sop.Database(sop.DatabaseOptions(name="examples"))
with db.begin_transaction() as t:
    articles = db.new_btree("articles", t)
    articles.upsert([sop.Item(number, {"title": f"Article {number}"}) for number in range(1, 11)])


def show_page(token: Optional[bytes]) -> Optional[bytes]:
    """One page, newest first; the token of the next one."""
    with db.begin_transaction(sop.ForReading) as t:
        store = db.open_btree("articles", t)
        page = next(store.pages(4, token=token, backward=True))
        print([item.key for item in page.items])
        return page.token


next_token = show_page(None)
while next_token is not None:
    next_token = show_page(next_token)

with db.begin_transaction(sop.ForReading) as t:
    store = db.open_btree("articles", t)
    within = sop.KeyRange(begin=3, end=5, end_inclusive=True)
    print([item.value["title"] for item in store.items(within=within)])
