"""Values above 1 MiB, which travel in parts: like all others to those who use them."""

import asyncio
import random

import pytest

import sop
import sop.aio

SIZES = (1 << 20, (1 << 20) + 1, (5 << 20) + 3)


def large(size, seed=1):
    return random.Random(seed).randbytes(size)


def test_every_call_gives_them_whole(db):
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        for size in SIZES:
            assert store.add(sop.Item(size, large(size)))
        store.add(sop.Item(1, "small"))
        assert store.find(SIZES[2]) and store.get_current_value() == large(SIZES[2])
    with db.begin_transaction(mode=sop.TransactionMode.ForReading) as t:
        store = db.open_btree("s", t)
        expected = [("small")] + [large(size) for size in SIZES]
        assert [item.value for item in store.items()] == expected
        assert [item.value for item in store.get_items(sop.PagingInfo(page_size=10))] == expected
        assert [item.value for item in store.get_values([1, *SIZES])] == expected
        assert [item.value for page in store.pages(2) for item in page.items] == expected
        assert [item.value for item in store.sample(10)] == expected
        assert store.first()
        walked = [store.get_current_item().value]
        while store.next():
            walked.append(store.get_current_value())
        assert walked == expected


def test_they_keep_their_place_among_other_writes(db):
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        small = store.add([sop.Item(key, key) for key in range(5)])
        both = store.upsert([sop.Item(1, "x" * (2 << 20)), sop.Item(2, "two"), sop.Item(3, large(2 << 20))])
        assert small and both
        assert both.outcomes == ["REPLACED", "REPLACED", "REPLACED"]
        assert store.add(sop.Item(3, large(2 << 20))).outcomes == ["ALREADY_THERE"]
        assert store.update(sop.Item(9, large(2 << 20))) == False  # noqa: E712
        store.upsert(sop.Item(1, "last"))
        assert [item.value for item in store.get_values([1, 2, 3])] == ["last", "two", large(2 << 20)]
    assert t.unseen_outcomes == 0


def test_json_and_text_come_back_as_they_were(db):
    document = {"rows": [{"n": n, "text": "\u20ac" * 50} for n in range(20_000)]}
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        store.add([sop.Item(1, document), sop.Item(2, "\u20ac" * 500_000)])
    with db.begin_transaction() as t:
        store = db.open_btree("s", t)
        assert store.find(1) and store.get_current_value() == document
        assert store.find(2) and store.get_current_value() == "\u20ac" * 500_000
        assert store.update_current_value(large(2 << 20))
        assert store.get_current_value() == large(2 << 20)


def test_a_rollback_leaves_nothing(db):
    with db.begin_transaction() as t:
        db.new_btree("s", t)
    with pytest.raises(RuntimeError), db.begin_transaction() as t:
        db.open_btree("s", t).add(sop.Item(1, large(3 << 20)))
        raise RuntimeError
    with db.begin_transaction() as t:
        assert db.open_btree("s", t).count() == 0


def test_in_a_session(db):
    with db.session() as session:
        with session.begin_transaction() as t:
            store = db.new_btree("s", t)
            store.add(sop.Item(1, large(2 << 20)))
            store.add(sop.Item(2, "small"))
        t = session.begin_transaction()
        again = store.in_transaction(t)
        assert again.upsert(sop.Item(3, large(2 << 20, 3)))
        assert [item.value for item in again.get_values([1, 2, 3])] == [
            large(2 << 20), "small", large(2 << 20, 3)
        ]  # fmt: skip
        t.commit_later().result()


def test_asyncio(server, db):
    async def main():
        async with sop.aio.Database(db.options) as database:
            async with database.begin_transaction() as t:
                store = await database.new_btree("s", t)
                assert await store.add(sop.Item(1, large(3 << 20)))
                assert [item.value async for item in store.items()] == [large(3 << 20)]
            async with database.begin_transaction() as t:
                store = await database.open_btree("s", t)
                assert await store.find(1)
                assert await store.get_current_value() == large(3 << 20)

    asyncio.run(main())


def test_arrays(db):
    pytest.importorskip("numpy")
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        store.add([sop.Item(1, b"small"), sop.Item(2, large(2 << 20))])
        assert list(store.to_numpy().values) == [b"small", large(2 << 20)]
