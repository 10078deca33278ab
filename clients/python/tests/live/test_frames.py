"""numpy and pandas in and out."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
import pytest

import sop


@dataclass
class Reading:
    station: str
    at: Annotated[int, sop.Descending]
    checked: Annotated[bool, sop.RideOn] = False


@pytest.fixture
def t(db):
    with db.begin_transaction() as transaction:
        yield transaction


def test_arrays_go_in_and_come_out(db, t):
    store = db.new_btree("points", t)
    keys, points = np.arange(50_000)[::-1].copy(), np.random.default_rng(1).random((50_000, 3))
    assert store.add_arrays(keys, points) == 50_000
    found = store.to_numpy(value_type="f8")
    assert len(found) == store.count() == 50_000
    assert found.key.dtype == np.int64 and (found.key == keys[::-1]).all()
    assert (found.values == points[::-1]).all()
    assert store.find(17) and np.frombuffer(store.get_current_value()).tolist() == list(
        points[::-1][17]
    )
    assert store.to_numpy().values.dtype == "V24"


def test_arrays_replace_only_when_told(db, t):
    store = db.new_btree("s", t)
    assert store.add_arrays(np.arange(5), np.zeros(5)) == 5
    assert store.add_arrays(np.arange(8), np.ones(8)) == 3
    assert store.to_numpy(value_type="f8").values.tolist() == [0.0] * 5 + [1.0] * 3
    assert store.add_arrays(np.arange(2), np.full(2, 7.0), replace=True) == 2
    assert store.to_numpy(value_type="f8").values.tolist() == [7.0] * 2 + [0.0] * 3 + [1.0] * 3


@pytest.mark.parametrize(
    "keys",
    [
        np.array([-1.5, 0.0, 2.5]),
        np.array([False, True]),
        np.array(["2024-01-01T00:00:00.123456789", "2024-01-02"], "M8[ns]"),
        np.array(["a", "b\0c", "zoë"], object),
        np.array(["a", "b", "c"]),
    ],
    ids=lambda keys: str(keys.dtype),
)
def test_keys_of_every_kind(db, t, keys):
    store = db.new_btree("s", t)
    assert store.add_arrays(keys, [f"value {n}" for n in range(len(keys))]) == len(keys)
    found = store.to_numpy()
    assert found.key.tolist() == keys.tolist()
    assert found.values.tolist() == [f"value {n}" for n in range(len(keys))]


def test_records_by_columns_and_in_pages(db, t):
    store = db.new_btree("readings", t, index_spec=Reading)
    n = 30_000
    columns = {
        "station": np.array([f"s{i % 3}" for i in range(n)], object),
        "at": np.arange(n),
        "checked": np.arange(n) % 2 == 0,
    }
    values = np.arange(n, dtype="i4")[:, None].repeat(32, axis=1)
    assert store.add_arrays(columns, values) == n
    within = sop.KeyRange(prefix={"station": "s1"})
    pages = list(store.array_pages(within, "i4"))
    assert len(pages) > 1
    at = np.concatenate([page.keys["at"] for page in pages])
    assert at.tolist() == list(range(1, n, 3))[::-1]
    found = np.concatenate([page.values for page in pages])
    assert found.shape == (len(at), 32) and (found == at[:, None]).all()
    checked = np.concatenate([page.keys["checked"] for page in pages])
    assert checked.dtype == bool and (checked == (at % 2 == 0)).all()
    with pytest.raises(sop.InvalidArgumentError, match="station, at, checked"):
        pages[0].key


def test_large_values_of_equal_keys(db, t):
    options = sop.BtreeOptions(is_unique=False)
    options.set_value_data_size(sop.ValueDataSize.Big)
    store = db.new_btree("large", t, options)
    content = [bytes([n]) * 60_000 for n in range(100)]
    store.add([sop.Item("k", value) for value in content])
    assert [bytes(each) for each in store.to_numpy().values] == content


def test_empty_store(db, t):
    store = db.new_btree("s", t, sop.BtreeOptions(key_types={"": int}))
    assert store.to_numpy(value_type="f8").key.dtype == np.int64
    assert store.to_pandas().columns.tolist() == ["key", "value"]
    assert store.add_arrays(np.array([], int), np.array([])) == 0


def test_frames_go_in_and_come_out(db, t):
    store = db.new_btree("cities", t, index_spec="country,population:desc")
    frame = pd.DataFrame(
        {
            "country": ["PT", "ES", "PT"],
            "population": [232_000, 3_223_000, 545_000],
            "name": ["Porto", "Madrid", None],
            "area": [41.4, float("nan"), 100.1],
        }
    )
    assert store.add_frame(frame) == 3
    assert store.find({"country": "PT", "population": 545_000})
    assert store.get_current_value() == {"name": None, "area": 100.1}
    found = store.to_pandas()
    expected = frame.sort_values(["country", "population"], ascending=[True, False])
    pd.testing.assert_frame_equal(found, expected.reset_index(drop=True))
    assert store.add_frame(frame.assign(area=1.0)) == 0
    assert store.add_frame(frame.assign(area=1.0), replace=True) == 3
    assert store.to_pandas()["area"].tolist() == [1.0] * 3
    assert store.to_pandas(sop.KeyRange(prefix={"country": "ES"}))["name"].tolist() == ["Madrid"]


def test_frame_with_one_column_of_values_and_scalar_keys(db, t):
    store = db.new_btree("s", t)
    frame = pd.DataFrame(
        {"when": pd.date_range("2024-01-01", periods=2000, freq="h"), "value": range(2000)}
    )
    assert store.add_frame(frame, key="when") == 2000
    found = store.to_pandas()
    assert (found["key"] == frame["when"]).all() and (found["value"] == frame["value"]).all()
    assert store.find(sop.Timestamp(frame["when"][5].value)) and store.get_current_value() == 5


def test_fields_that_only_some_rows_have_ride_on(db, t):
    store = db.new_btree("s", t, index_spec=["id"])
    frame = pd.DataFrame({"id": [1, 2, 3], "note": [None, "b", "c"], "value": ["x", "y", "z"]})
    assert store.add_frame(frame, key=["id", "note"]) == 3
    assert [item.key for item in store] == [{"id": 1}, {"id": 2, "note": "b"}, {"id": 3, "note": "c"}]
    assert store.to_pandas()["note"].tolist() == [None, "b", "c"]


def test_wrong_frames_are_told(db, t):
    store = db.new_btree("s", t)
    with pytest.raises(sop.InvalidArgumentError, match="key="):
        store.add_frame(pd.DataFrame({"a": [1]}))
    with pytest.raises(sop.InvalidArgumentError, match="no column b"):
        store.add_frame(pd.DataFrame({"a": [1]}), key="b")
    with pytest.raises(sop.InvalidArgumentError, match="same length"):
        store.add_arrays(np.arange(3), np.arange(2))
    store.add_arrays(np.arange(3), np.arange(3))
    with pytest.raises(sop.KeyTypeDiffersError):
        store.add_arrays(np.array(["a"], object), ["x"])
    with pytest.raises(sop.InvalidArgumentError, match="bytes"):
        store.to_numpy(value_type="V5")


def test_scalars_of_numpy_are_keys_and_values(db, t):
    store = db.new_btree("s", t)
    frame = pd.DataFrame({"id": [1, 2, 3], "n": [10, 20, 30]})
    for _, row in frame.iterrows():
        assert store.add(sop.Item(row["id"], {"n": row["n"], "sum": frame["n"].sum()}))
    assert store.find(np.int64(2)) and store.get_current_value() == {"n": 20, "sum": 60}
    assert [item.key for item in store.items(filter={"n": {"$gt": frame["n"].iloc[0]}})] == [2, 3]


def test_values_of_every_size_go_in_and_come_out(db, t):
    store = db.new_btree("s", t)
    sizes = [10, 5 << 20, 1_000_000, 900_000, (1 << 20) + 1, 1 << 20, 0]
    values = [bytes([n]) * size for n, size in enumerate(sizes)]
    assert store.add_arrays(np.arange(len(sizes)), values) == len(sizes)
    assert list(store.to_numpy().values) == values
    assert store.add_arrays(np.arange(2), values[:2]) == 0
    assert store.add_arrays(np.arange(2), values[1::-1], replace=True) == 2
    assert store.get_values([0, 1])[0].value == values[1]


def test_rows_of_large_numbers_come_back_as_what_they_were(db, t):
    store = db.new_btree("s", t)
    rows = np.arange(3 * 200_000, dtype="f8").reshape(3, 200_000)
    assert store.add_arrays(np.arange(3), rows) == 3
    found = store.to_numpy(value_type="f8")
    assert found.values.shape == rows.shape and (found.values == rows).all()
    (page,) = store.array_pages(value_type="f8")
    assert (page.values == rows).all()


def test_texts_of_arrays_and_series_are_text(db, t):
    store = db.new_btree("s", t)
    assert store.add_arrays(np.arange(2), np.array(["a", "bcd"])) == 2
    assert store.add_arrays(np.arange(2, 4), pd.Series(["e", "f"])) == 2
    assert list(store.to_numpy().values) == ["a", "bcd", "e", "f"]
    numbers = db.new_btree("numbers", t)
    assert numbers.add_arrays(np.arange(3), pd.Series([1.5, 2.5, 3.5])) == 3
    assert numbers.to_numpy(value_type="f8").values.tolist() == [1.5, 2.5, 3.5]


def test_columns_named_by_numbers(db, t):
    store = db.new_btree("s", t)
    sales = pd.DataFrame({"region": ["at", "at", "de"], "year": [2020, 2021, 2020], "n": [1, 2, 3]})
    pivot = sales.pivot(index="region", columns="year", values="n").reset_index()
    assert store.add_frame(pivot, key="region") == 2
    assert store.find("at") and store.get_current_value() == {"2020": 1, "2021": 2}
