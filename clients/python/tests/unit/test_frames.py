"""Columns of numpy and pandas as requests: their sizes, their values, their names."""

import numpy as np
import pandas as pd
import pytest

import sop
from sop import frames, pages
from sop.frames import ColumnsToAdd, columns_of_frame
from sop.scalars import from_value
from sop.v1 import types_pb2

MESSAGE_BYTES = 4 << 20


def schema(kind, rides_on=False):
    shape = types_pb2.KEY_SHAPE_RECORD if rides_on else types_pb2.KEY_SHAPE_SCALAR
    made = types_pb2.KeySchema(shape=shape)
    made.fields.add(name="k" if rides_on else "", type=kind).index_position = 0
    if rides_on:
        made.fields.add(name="r", type=types_pb2.SCALAR_TYPE_STRING)
    return made


INT64, STRING = types_pb2.SCALAR_TYPE_INT64, types_pb2.SCALAR_TYPE_STRING
NUMBERS = schema(INT64)


def sent(columns, of=NUMBERS):
    """Items of each request, alone or in a page, and their values in order."""
    counts, values = [], []
    for request in columns.requests(of, 0):
        if isinstance(request, sop.Item):
            counts.append("alone")
            values.append(from_value(request.value))
            assert len(request.value.content) > 1 << 20
            continue
        assert len(request) < MESSAGE_BYTES
        items = pages.parse_page(request)
        counts.append(len(items))
        values += [from_value(types_pb2.Value(content=i.value, format=i.format)) for i in items]
    return counts, values


def added(keys, values):
    return ColumnsToAdd.of(keys, values, False)


def test_pages_are_bounded_by_items_and_by_bytes_of_values():
    assert sent(added(np.arange(50_000), np.arange(50_000)))[0] == [20_000, 20_000, 10_000]
    counts, values = sent(added(np.arange(50), np.zeros((50, 25_000))))
    assert counts == [10] * 5 and {len(value) for value in values} == {200_000}
    given = [b"x" * 900_000, b"y" * 1_000_000, b"z" * 1_000_000, b""]
    assert sent(added(np.arange(4), given)) == ([2, 2], given)


def test_pages_are_bounded_by_bytes_of_keys_and_of_what_rides_on():
    keys = np.array([f"{n:04000}" for n in range(3000)], object)
    counts, values = sent(added(keys, np.arange(3000)), schema(STRING))
    assert len(counts) == 4 and values == [n.tobytes() for n in np.arange(3000)]
    rides = {"k": np.arange(3000), "r": np.array(["r" * 4000, None] * 1500, object)}
    counts, values = sent(added(rides, list(range(3000))), schema(INT64, rides_on=True))
    assert len(counts) == 2 and values == list(range(3000))


def test_large_values_are_alone_and_in_their_place():
    large = b"l" * ((1 << 20) + 1)
    given = [b"a", large, "text", {"n": 1}, large, large]
    assert sent(added(np.arange(6), given)) == ([1, "alone", 2, "alone", "alone"], given)
    rows = np.ones((2, (1 << 20) + 1), "u1")
    assert sent(added(np.arange(2), rows)) == (["alone"] * 2, [row.tobytes() for row in rows])


def test_every_value_is_encoded_once(monkeypatch):
    encoded = []

    def counting(value):
        encoded.append(value)
        return to_value(value)

    to_value = frames.to_value
    monkeypatch.setattr(frames, "to_value", counting)
    given = ["v" * 300_000] * 40 + ["v" * 1_500_000] * 2
    assert sent(added(np.arange(42), given))[1] == given
    assert len(encoded) == 42


@pytest.mark.parametrize(
    "values, stored",
    [
        (np.array(["a", "bcd"]), ["a", "bcd"]),
        (np.array([b"a", b"bcd"]), [b"a", b"bcd"]),
        (np.array(["a", None], object), ["a", None]),
        (np.array([["a", "b"], ["c", "d"]]), [["a", "b"], ["c", "d"]]),
        (pd.Series(["a", "b"]), ["a", "b"]),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b"]),
        (pd.Series([1, 2]), [n.tobytes() for n in np.array([1, 2])]),
        (np.array([1.5, 2.5]), [n.tobytes() for n in np.array([1.5, 2.5])]),
        (np.array(["2024", "2025"], "M8[ns]"), [n.tobytes() for n in np.array(["2024", "2025"], "M8[ns]")]),
        (np.array([b"ab", b"cd"], "V2"), [b"ab", b"cd"]),
        ([np.int64(1), np.float32(1.5)], [1, 1.5]),
    ],
    ids=lambda given: str(getattr(given, "dtype", "list")),
)
def test_only_rows_of_numbers_are_their_bytes(values, stored):
    columns = added(np.arange(2), values)
    assert sent(columns)[1] == stored
    assert columns.first() == sop.Item(0, stored[0])


def test_keys_of_objects_may_be_scalars_of_numpy():
    keys = np.array([np.int64(3), 4, np.int32(5)], object)
    assert sent(added(keys, [1, 2, 3])) == ([3], [1, 2, 3])
    assert added(keys, [1, 2, 3]).first().key == 3


def test_labels_that_are_no_text_are_members_by_their_text():
    frame = pd.DataFrame([[1, "a", 0.5], [2, "b", 1.5]], columns=["id", 2020, 2021])
    columns = columns_of_frame(frame, "id")
    assert columns.values == [{"2020": "a", "2021": 0.5}, {"2020": "b", "2021": 1.5}]


@pytest.mark.parametrize("labels", [["id", 2020, "2020"], ["id", "a", "a"], ["id", "id", "a"]])
def test_labels_that_become_equal_are_refused(labels):
    frame = pd.DataFrame([[1, 2, 3]], columns=labels)
    with pytest.raises(sop.InvalidArgumentError, match=f"several columns '{labels[1]}'"):
        columns_of_frame(frame, "id")
