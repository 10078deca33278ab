"""Key bytes and packed pages against the golden files that every client reads."""

import json
import uuid
from pathlib import Path

import pytest

from sop.errors import InvalidArgumentError
from sop.key_codec import KeyCodec, decode_scalar, encode_scalar
from sop.pages import ITEM_IDS, KEYS, RIDE_ON, VALUES, VERSIONS, PackedItem, build_page, parse_page
from sop.pages import read_scan_response
from sop.scalars import Timestamp, nanos_of
from sop.v1 import btree_pb2, types_pb2

FORMATS = Path(__file__).resolve().parents[4] / "docs/formats"
KEY = json.loads((FORMATS / "key_golden.json").read_text())
PAGE = json.loads((FORMATS / "page_golden.json").read_text())
READ = {
    "bool": lambda text: text == "true",
    "int64": int,
    "double": float,
    "timestamp": lambda text: Timestamp(int(text)),
    "uuid": uuid.UUID,
    "string": str,
    "bytes": bytes.fromhex,
}
COLUMNS = {
    "keys": KEYS, "ride_on": RIDE_ON, "versions": VERSIONS, "item_ids": ITEM_IDS, "values": VALUES
}
VALUE_FORMATS = {"bytes": 1, "text": 2, "json": 3}


def comparable(value):
    """Timestamps as numbers: those of whole microseconds come back as datetimes."""
    return Timestamp(nanos_of(value)) if hasattr(value, "tzinfo") else value


@pytest.mark.parametrize("case", KEY["scalars"], ids=lambda c: f"{c['type']} {c['value']!a}")
def test_scalar(case):
    value = READ[case["type"]](case["value"])
    descending = case["direction"] == "descending"
    encoded = bytes.fromhex(case["key"])
    assert encode_scalar(value, descending) == encoded
    decoded = decode_scalar(encoded)
    assert comparable(decoded.value) == value
    assert type(comparable(decoded.value)) is type(value)
    assert (decoded.descending, decoded.end) == (descending, len(encoded))


@pytest.mark.parametrize("case", KEY["refused"], ids=lambda c: c["why"])
def test_refused_key(case):
    with pytest.raises(InvalidArgumentError):
        decode_scalar(bytes.fromhex(case["key"]))


def codec_of(case):
    names = sorted(field["name"] for field in case["fields"])
    order = case["index"] or [{"name": name, "direction": "ascending"} for name in names]
    positions = {field["name"]: n for n, field in enumerate(order)}
    schema = types_pb2.KeySchema(shape=f"KEY_SHAPE_{case['form'].upper()}")
    for field in case["fields"]:
        made = schema.fields.add(
            name=field["name"], type=f"SCALAR_TYPE_{field['type'].upper()}"
        )
        if field["name"] in positions:
            made.index_position = positions[field["name"]]
            made.descending = order[made.index_position]["direction"] == "descending"
    return KeyCodec(schema)


@pytest.mark.parametrize("case", KEY["schemas"], ids=lambda c: c["name"])
def test_keys_of_schema(case):
    codec = codec_of(case)
    types = {field["name"]: field["type"] for field in case["fields"]}
    assert case["keys"]
    for golden in case["keys"]:
        record = {m["name"]: READ[types[m["name"]]](m["value"]) for m in golden["record"]}
        key = record if case["form"] == "record" else record[""]
        encoded = bytes.fromhex(golden["key"]), bytes.fromhex(golden["ride_on"])
        assert codec.encode(key) == encoded
        decoded = codec.decode(*encoded)
        if case["form"] == "record":
            decoded = {name: comparable(value) for name, value in decoded.items()}
        assert decoded == key


def packed_item(golden):
    return PackedItem(
        key=bytes.fromhex(golden.get("key", "")),
        ride_on=bytes.fromhex(golden.get("ride_on", "")),
        version=int(golden.get("version", 0)),
        item_id=uuid.UUID(golden["item_id"]).bytes if "item_id" in golden else b"",
        value=bytes.fromhex(golden.get("value", "")),
        flags=int(golden.get("flags", 0)),
        format=VALUE_FORMATS[golden["format"]] if "format" in golden else 0,
    )


@pytest.mark.parametrize("case", PAGE["pages"], ids=lambda c: c["name"])
def test_page(case):
    page = bytes.fromhex(case["page"])
    items = [packed_item(golden) for golden in case["items"]]
    assert parse_page(page) == items
    assert build_page(sum(COLUMNS[name] for name in case["columns"]), items) == page


@pytest.mark.parametrize("case", PAGE["refused"], ids=lambda c: c["why"])
def test_refused_page(case):
    with pytest.raises(InvalidArgumentError):
        parse_page(bytes.fromhex(case["page"]))


def test_every_cut_of_a_page_is_refused():
    page = bytes.fromhex(PAGE["pages"][-1]["page"])
    for size in range(len(page)):
        with pytest.raises(InvalidArgumentError):
            parse_page(page[:size])


def test_a_scan_response_is_read_as_its_message_would_be():
    page = bytes(range(256)) * 500
    for message in (
        btree_pb2.ScanResponse(commit_version=b"version", page=page),
        btree_pb2.ScanResponse(page=page, end=True),
        btree_pb2.ScanResponse(end=True),
        btree_pb2.ScanResponse(),
    ):
        sent = message.SerializeToString()
        assert read_scan_response(sent) == (message.page, message.end)
        # A field that a later release may have.
        assert read_scan_response(b"\xb8\x01\x05\xba\x01\x02xy" + sent).end == message.end
    for cut in (b"\x12", b"\x12\x05ab", b"\x15\x01", b"\x80"):
        with pytest.raises(InvalidArgumentError):
            read_scan_response(cut)
