"""Files as values, and what is known of them, changed together in one transaction."""

import hashlib
from dataclasses import dataclass

import sop


@dataclass
class Document:
    """What a listing shows."""

    size: int
    sha256: str


def made_up(size: int) -> bytes:
    """Some bytes of a file."""
    return bytes(range(251)) * (size // 251) + bytes(size % 251)


db = sop.Database(sop.DatabaseOptions(name="examples"))
files = {"notes.txt": made_up(2_000), "scan.pdf": made_up(5_000_000), "film.mp4": made_up(40_000_000)}

with db.begin_transaction() as t:
    contents = db.new_btree("contents", t)
    documents = db.new_btree("documents", t)
    for name, content in files.items():
        # Large values travel in parts and are on disk before the commit; others see them after it.
        contents.upsert(sop.Item(name, content))
        documents.upsert(sop.Item(name, Document(len(content), hashlib.sha256(content).hexdigest())))

with db.begin_transaction(sop.ForReading) as t:
    contents = db.open_btree("contents", t, value_type=bytes)
    documents = db.open_btree("documents", t, value_type=Document)
    # Keys are read without touching a byte of the values.
    print(contents.count(), "files:", [item.key for item in contents.items(keys_only=True)])
    for item in documents.items():
        contents.find(item.key)
        whole = contents.get_current_value() or b""
        is_same = hashlib.sha256(whole).hexdigest() == item.value.sha256
        print(f"{item.key}: {item.value.size:,} bytes, {'as written' if is_same else 'DIFFERENT'}")
