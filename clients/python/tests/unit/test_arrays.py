"""Packed pages as numpy arrays, against the golden files and the codec that goes item by item."""

import json
import random
import sys
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import sop
from sop import arrays, pages
from sop.arrays import KeyColumns, PageArrays
from sop.key_codec import KeyCodec
from sop.scalars import Timestamp, nanos_of
from sop.v1 import types_pb2

FORMATS = Path(__file__).resolve().parents[4] / "docs/formats"
KEY = json.loads((FORMATS / "key_golden.json").read_text())
PAGE = json.loads((FORMATS / "page_golden.json").read_text())
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
READ = {
    "bool": lambda text: text == "true",
    "int64": int,
    "double": float,
    "timestamp": lambda text: Timestamp(int(text)),
    "uuid": uuid.UUID,
    "string": str,
    "bytes": bytes.fromhex,
}


def schema_of(*fields):
    """Of (name, type, position or None, descending)."""
    is_scalar = fields[0][0] == ""
    shape = types_pb2.KEY_SHAPE_SCALAR if is_scalar else types_pb2.KEY_SHAPE_RECORD
    schema = types_pb2.KeySchema(shape=shape)
    for name, kind, position, descending in fields:
        field = schema.fields.add(name=name, descending=descending)
        field.type = getattr(types_pb2, f"SCALAR_TYPE_{kind.upper()}")
        if position is not None:
            field.index_position = position
    return schema


def page_of(items):
    return pages.build_page(pages.KEYS | pages.RIDE_ON | pages.VALUES, items)


def plain(column):
    """Python objects of a column, as the codec makes them."""
    if column.dtype.kind == "M":
        return [Timestamp(each) for each in column.view("i8").tolist()]
    return column.tolist()


def comparable(value):
    return Timestamp(nanos_of(value)) if isinstance(value, (datetime, Timestamp)) else value


@pytest.mark.parametrize("case", KEY["scalars"], ids=lambda c: f"{c['type']} {c['value']!a}")
def test_scalar(case):
    schema = schema_of(("", case["type"], 0, case["direction"] == "descending"))
    page = page_of([pages.PackedItem(key=bytes.fromhex(case["key"]))] * 3)
    decoded = KeyColumns(schema).decode(PageArrays(page))["key"]
    assert [comparable(each) for each in plain(decoded)] == [READ[case["type"]](case["value"])] * 3


@pytest.mark.parametrize("case", PAGE["refused"], ids=lambda case: case["why"])
def test_what_is_no_page_is_refused(case):
    with pytest.raises(sop.SopError) as of_items:
        pages.parse_page(bytes.fromhex(case["page"]))
    with pytest.raises(type(of_items.value)):
        PageArrays(bytes.fromhex(case["page"]))


def test_every_cut_of_a_page_is_refused():
    page = bytes.fromhex(PAGE["pages"][-1]["page"])
    for size in range(len(page)):
        with pytest.raises(sop.InvalidArgumentError):
            PageArrays(page[:size])


MAKERS = {
    "bool": lambda rng: rng.random() < 0.5,
    "int64": lambda rng: rng.randrange(-(2**63), 2**63) >> rng.randrange(64),
    "double": lambda rng: rng.choice([0.0, -1.5, float("inf"), rng.uniform(-1e9, 1e9)]),
    "string": lambda rng: "".join(rng.choice("a\0\1é😀") for _ in range(rng.randrange(6))),
    "bytes": lambda rng: bytes(rng.choice([0, 1, 254, 255]) for _ in range(rng.randrange(6))),
    "uuid": lambda rng: uuid.UUID(int=rng.getrandbits(128)),
    "timestamp": lambda rng: EPOCH + timedelta(microseconds=rng.randrange(-(10**15), 10**15)),
}


@pytest.mark.parametrize("rides_everywhere", [True, False])
def test_random_records_against_the_codec(rides_everywhere):
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(60):
        kinds = [rng.choice(sorted(MAKERS)) for _ in range(rng.randrange(1, 6))]
        indexed = rng.randrange(1, len(kinds) + 1)
        order = rng.sample(range(len(kinds)), indexed)
        schema = schema_of(
            *(
                (f"f{n}", kind, order.index(n) if n in order else None, rng.random() < 0.5)
                for n, kind in enumerate(kinds)
            )
        )
        codec = KeyCodec(schema)
        keys = [
            {
                f"f{n}": MAKERS[kind](rng)
                for n, kind in enumerate(kinds)
                if n in order or rides_everywhere or rng.random() < 0.7
            }
            for _ in range(rng.randrange(1, 40))
        ]
        packed = [pages.PackedItem(*codec.encode(key)) for key in keys]
        columns = KeyColumns(schema).decode(PageArrays(page_of(packed)))
        assert list(columns) == [f"f{n}" for n in range(len(kinds))]
        for name, column in columns.items():
            expected = [comparable(key.get(name)) for key in keys]
            assert [comparable(each) for each in plain(column)] == expected


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("kind", ["bool", "int64", "double", "timestamp"])
def test_numbers_are_encoded_as_the_codec_does(kind, descending):
    np = arrays.numpy()
    rng = random.Random(7)
    schema = schema_of(("", kind, 0, descending))
    values = [MAKERS[kind](rng) for _ in range(50)]
    if kind == "timestamp":
        column = np.array([nanos_of(each) for each in values]).view("M8[ns]")
    else:
        column = np.array(values)
    joined, ends, ride_on, _ = KeyColumns(schema).encode({"": column})
    assert pages.cut(joined, list(ends)) == [KeyCodec(schema).encode(each)[0] for each in values]
    assert ride_on == b""


def test_keys_that_cannot_be_are_refused():
    np = arrays.numpy()
    doubles = KeyColumns(schema_of(("", "double", 0, False)))
    with pytest.raises(sop.InvalidKeyError):
        doubles.encode({"": np.array([1.0, float("nan")])})
    times = KeyColumns(schema_of(("", "timestamp", 0, False)))
    with pytest.raises(sop.InvalidKeyError):
        times.encode({"": np.array(["2024-01-01", "NaT"], "M8[ns]")})
    with pytest.raises(sop.KeyTypeDiffersError):
        doubles.encode({"": np.array([1, 2])})


@pytest.mark.parametrize("unit", ["s", "us", "D"])
def test_times_out_of_range_are_refused_and_do_not_wrap(unit):
    np = arrays.numpy()
    times = KeyColumns(schema_of(("", "timestamp", 0, False)))
    fine = np.array(["1678-01-01", "2262-04-11"], f"M8[{unit}]")
    joined, ends, _, _ = times.encode({"": fine})
    codec = KeyCodec(schema_of(("", "timestamp", 0, False)))
    assert [codec.decode(key).year for key in pages.cut(joined, list(ends))] == [1678, 2262]
    for far in ("9999-12-31", "1500-01-01"):
        with pytest.raises(sop.InvalidKeyError, match=f"{far}.*1677-09-21 to 2262-04-11"):
            times.encode({"": np.array(["2024-01-01", far], f"M8[{unit}]")})


@pytest.mark.parametrize(
    "kind, key",
    [
        ("int64", "20bff8000000000000"),
        ("int64", "1080000000000000"),
        ("int64", "10800000000000000000"),
        ("bool", "0802"),
        ("double", "20fff8000000000001"),
        ("string", "4061"),
        ("string", "40ff0001"),
        ("string", "406100"),
    ],
)
def test_bytes_of_no_key_are_refused(kind, key):
    page = PageArrays(page_of([pages.PackedItem(key=bytes.fromhex(key))]))
    with pytest.raises(sop.InvalidArgumentError):
        KeyColumns(schema_of(("", kind, 0, False))).decode(page)


def test_values_of_one_size_are_views():
    np = arrays.numpy()
    items = [pages.PackedItem(key=b"\x08\x01", value=bytes([n]) * 8, format=1) for n in range(5)]
    page = page_of(items)
    parsed = PageArrays(page)
    column = parsed.value_column(None)
    assert column.dtype == "V8" and np.shares_memory(column, np.frombuffer(page, "u1"))
    assert parsed.value_column("<u8").tolist() == [int.from_bytes([n] * 8, "little") for n in range(5)]
    assert parsed.value_column("<u2").shape == (5, 4)
    with pytest.raises(sop.InvalidArgumentError, match="3 bytes"):
        parsed.value_column("V3")


def test_values_of_several_kinds_are_objects():
    items = [
        pages.PackedItem(key=b"\x08\x01", value=value, format=form)
        for value, form in ((b"a", 1), (b"text", 2), (b'{"n":1}', 3))
    ]
    assert PageArrays(page_of(items)).value_column(None).tolist() == [b"a", "text", {"n": 1}]


def test_values_left_out_are_those_that_were_found():
    np = arrays.numpy()
    left_out = pages.PackedItem(key=b"\x08\x01", flags=pages.VALUE_LEFT_OUT)
    found = {n: types_pb2.Value(content=bytes([n]) * 16, format="VALUE_FORMAT_BYTES") for n in range(3)}
    page = PageArrays(page_of([left_out] * 3))
    column = page.value_column("<u8", found)
    assert column.shape == (3, 2) and column.dtype == np.uint64
    assert [row.tobytes() for row in column] == [found[n].content for n in range(3)]
    assert page.value_column("V16", found).tolist() == [found[n].content for n in range(3)]
    assert page.value_column(None, found).tolist() == [found[n].content for n in range(3)]
    found[1].content = b"another size"
    with pytest.raises(sop.InvalidArgumentError, match="8 bytes"):
        page.value_column("<u8", found)


def test_pages_of_other_kinds_are_gathered_as_objects():
    np = arrays.numpy()
    gathering = arrays.Gathering(4)
    parts = [
        ([1, 2], np.array([b"ab", b"cd"], "V2")),
        ([3], np.array(["text"], object)),
        ([4], np.array([b"e"], "V1")),
        ([5], np.array([b"one more than was counted"], object)),
    ]
    for keys, values in parts:
        gathering.add(arrays.Arrays({"key": np.array(keys)}, values))
    found = gathering.result()
    assert found.key.tolist() == [1, 2, 3, 4, 5] and found.key.dtype == np.int64
    assert found.values.tolist() == [b"ab", b"cd", "text", b"e", b"one more than was counted"]
    rows = arrays.Gathering(2)
    rows.add(arrays.Arrays({"key": np.array([1])}, np.zeros((1, 3))))
    with pytest.raises(sop.InvalidArgumentError, match="size"):
        rows.add(arrays.Arrays({"key": np.array([2])}, np.zeros((1, 4))))


@pytest.mark.parametrize("package", ["numpy", "pandas"])
def test_missing_package_is_told(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    module = arrays.numpy if package == "numpy" else sop.frames.pandas
    with pytest.raises(sop.MissingDependencyError, match=rf"sop-client\[{package}\]") as caught:
        module()
    assert isinstance(caught.value, ImportError) and isinstance(caught.value, sop.SopError)
    assert caught.value.metadata == {"package": package}
