"""Keys, values, options and errors as messages."""

import enum
import random
import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import grpc
import numpy as np
import pandas as pd
import pytest
from scripted_server import Failure, serve

import sop
from sop import errors
from sop.calls import Acquaintance
from sop.filters import to_filter
from sop.key_codec import encode_scalar
from sop.scalars import from_key, from_value, to_key, to_value
from sop.v1 import types_pb2

ERROR_CC = Path(__file__).resolve().parents[4] / "core/base/error.cc"


@dataclass
class UserKey:
    region: str
    number: int
    note: str | None = None


@pytest.mark.parametrize(
    "key",
    [
        True,
        0,
        -(2**63),
        2**63 - 1,
        1.5,
        "zoë",
        b"\x00\xff",
        uuid.uuid4(),
        datetime(2024, 5, 6, 7, 8, 9, 123456, timezone.utc),
        sop.Timestamp(1_700_000_000_123_456_789),
        {"region": "US", "number": 7, "ratio": 0.5},
    ],
    ids=repr,
)
def test_keys_come_back(key):
    again = from_key(to_key(key))
    assert again == key
    assert type(again) is type(key)


def test_dataclass_keys_come_back_as_dicts_or_as_themselves():
    message = to_key(UserKey("US", 7))
    assert from_key(message) == {"region": "US", "number": 7}
    assert from_key(message, UserKey) == UserKey("US", 7)


@pytest.mark.parametrize(
    "key", [None, 2**63, -(2**63) - 1, "\ud800", [1], {}, {"a": object()}, datetime(2024, 1, 1)]
)
def test_impossible_keys_are_refused(key):
    with pytest.raises(sop.InvalidKeyError):
        to_key(key)


class Region(str, enum.Enum):
    US = "us"


class Level(int, enum.Enum):
    HIGH = 7


class Ratio(float, enum.Enum):
    HALF = 0.5


@pytest.mark.parametrize(
    "given, stored",
    [
        (np.int64(5), 5),
        (np.uint8(5), 5),
        (np.bool_(True), True),
        (np.float32(1.5), 1.5),
        (np.float64(1.5), 1.5),
        (np.str_("a"), "a"),
        (np.bytes_(b"a"), b"a"),
        (np.datetime64("2024-05-06T07:08:09"), datetime(2024, 5, 6, 7, 8, 9, 0, timezone.utc)),
        (pd.Series([5]).iloc[0], 5),
        (Region.US, "us"),
        (Level.HIGH, 7),
        (Ratio.HALF, 0.5),
        (pd.Timestamp("2024-05-06T07:08:09Z"), datetime(2024, 5, 6, 7, 8, 9, 0, timezone.utc)),
        (
            pd.Timestamp("2024-05-06T07:08:09.123456789Z"),
            sop.Timestamp(1_714_979_289_123_456_789),
        ),
        (pd.Timestamp(-1, tz="UTC"), sop.Timestamp(-1)),
    ],
    ids=repr,
)
def test_keys_of_other_types_are_those_that_they_stand_for(given, stored):
    for again in (from_key(to_key(given)), from_key(to_key({"a": given}))["a"]):
        assert again == stored and type(again) is type(stored)
    assert to_filter({"x": given}) == to_filter({"x": stored})


@pytest.mark.parametrize(
    "key", [np.timedelta64(1, "s"), np.complex64(1), np.arange(3), np.longdouble(1), pd.NaT], ids=repr
)
def test_what_of_numpy_is_no_key_is_refused(key):
    with pytest.raises(sop.InvalidKeyError):
        to_key(key)


@pytest.mark.parametrize(
    "key",
    [
        datetime(9999, 12, 31, tzinfo=timezone.utc),
        datetime(1600, 1, 1, tzinfo=timezone.utc),
        pd.Timestamp("9999-12-31", tz="UTC"),
        np.datetime64("9999-12-31"),
        np.datetime64(1, "ps"),
        np.datetime64("NaT"),
    ],
    ids=repr,
)
def test_time_that_no_key_holds_names_the_range(key):
    with pytest.raises(sop.InvalidKeyError, match="1677-09-21 to 2262-04-11"):
        to_key(key)
    with pytest.raises(sop.InvalidKeyError, match="1677-09-21 to 2262-04-11"):
        to_key({"when": key})


def test_numbers_of_numpy_are_json():
    given = {"n": np.int64(3), "b": np.bool_(True), "f": np.float32(1.5), "s": [np.str_("x")]}
    assert from_value(to_value(given)) == {"n": 3, "b": True, "f": 1.5, "s": ["x"]}
    assert from_value(to_value(np.int32(3))) == 3
    for refused in (np.float32("nan"), np.arange(3), {"t": np.datetime64("NaT")}):
        with pytest.raises(sop.InvalidValueError):
            to_value(refused)


@pytest.mark.parametrize(
    "value, value_format",
    [
        ("text", types_pb2.VALUE_FORMAT_TEXT),
        ("", types_pb2.VALUE_FORMAT_TEXT),
        (b"\x00\xff", types_pb2.VALUE_FORMAT_BYTES),
        ({"a": [1, 2.5, None, "é"]}, types_pb2.VALUE_FORMAT_JSON),
        (None, types_pb2.VALUE_FORMAT_JSON),
        (7, types_pb2.VALUE_FORMAT_JSON),
        (False, types_pb2.VALUE_FORMAT_JSON),
    ],
)
def test_values_come_back(value, value_format):
    message = to_value(value)
    assert message.format == value_format
    assert from_value(message) == value


def test_dataclass_values_come_back_as_dicts_or_as_themselves():
    message = to_value(UserKey("US", 7))
    assert from_value(message) == {"region": "US", "number": 7, "note": None}
    assert from_value(message, UserKey) == UserKey("US", 7)


@dataclass
class Document:
    number: int
    deleted: bool | None
    words: list[str] = field(default_factory=list)
    length: int = field(init=False, default=0)

    def __post_init__(self):
        if self.number == 0:
            raise TypeError("of the class itself")
        self.length = len(self.words)


def test_field_that_an_item_has_not_is_none():
    assert from_key(to_key(UserKey("US", 7)), UserKey) == UserKey("US", 7, None)
    key = {"number": 7}
    assert from_key(to_key(key), Document) == Document(7, None)
    assert from_value(to_value(key), Document) == Document(7, None)
    whole = Document(7, True, ["a", "b"])
    assert from_value(to_value(whole), Document) == whole
    with pytest.raises(TypeError, match="of the class itself"):
        from_value(to_value({"number": 0, "deleted": True}), Document)


@pytest.mark.parametrize("read", [lambda m, t: from_key(to_key(m), t), lambda m, t: from_value(to_value(m), t)])
def test_member_that_the_dataclass_has_not_is_named(read):
    with pytest.raises(sop.InvalidArgumentError, match="UserKey has no field 'colour'") as caught:
        read({"region": "US", "number": 7, "colour": "red"}, UserKey)
    assert caught.value.metadata == {"type": "UserKey", "field": "colour"}


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), {"a": object()}, "\ud800"])
def test_impossible_values_are_refused(value):
    with pytest.raises(sop.InvalidValueError):
        to_value(value)


def test_encoded_order_is_the_order_of_values():
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    start = datetime(1970, 1, 1, tzinfo=timezone.utc)
    makers = [
        lambda: rng.randrange(-(2**63), 2**63) >> rng.randrange(64),
        lambda: rng.uniform(-1, 1) * 10.0 ** rng.randrange(-300, 300),
        lambda: "".join(chr(rng.choice([0, 1, 97, 233, 0x1F600])) for _ in range(rng.randrange(6))),
        lambda: bytes(rng.choice([0, 1, 255]) for _ in range(rng.randrange(6))),
        lambda: uuid.UUID(int=rng.getrandbits(128)),
        lambda: start + timedelta(microseconds=rng.randrange(-(10**15), 10**15)),
    ]
    for make in makers:
        values = [make() for _ in range(300)]
        assert sorted(values) == sorted(values, key=encode_scalar)
        backward = sorted(values, key=lambda value: encode_scalar(value, descending=True))
        assert sorted(values, reverse=True) == backward


def test_only_given_options_are_sent():
    assert not sop.BtreeOptions("s").to_message().ListFields()
    options = sop.BtreeOptions("s", is_unique=False, slot_length=2)
    options.set_value_data_size(sop.ValueDataSize.Big)
    options.relations = [sop.Relation(["user_id"], "users", ["id"])]
    message = options.to_message()
    assert message.unique is False and message.slot_length == 2
    assert message.value_size == types_pb2.VALUE_SIZE_BIG
    assert message.relations[0].target_store == "users"


def test_every_reason_of_the_server_has_its_exception():
    rows = re.findall(r'ReasonRow\{Reason::\w+, "(\w+)", k(\w+)\}', ERROR_CC.read_text())
    assert len(rows) > 30
    for reason, code in rows:
        cls = errors.BY_REASON[reason]
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", code).upper()
        assert cls.default_code is grpc.StatusCode[name], reason


def test_every_exception_is_exported():
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    defined = {each.__name__ for each in classes if each.__module__ == "sop.errors"}
    assert set(errors.__all__) == defined and defined <= set(sop.__all__)


@pytest.mark.parametrize("reason", sorted(errors.BY_REASON))
def test_error_carries_code_reason_and_metadata(reason):
    cls = errors.BY_REASON[reason]
    with serve() as (script, address), sop.Database(
        sop.DatabaseOptions(address=address, patience=0.0)
    ) as db:
        failure = Failure(cls.default_code, reason, {"store": "s"}, retry_seconds=0.5)
        script.fail("CreateDatabase", failure)
        with pytest.raises(cls) as caught:
            db.begin_transaction()
    error = caught.value
    assert type(error) is cls and isinstance(error, sop.SopError)
    assert (error.code, error.reason) == (cls.default_code, reason)
    assert error.metadata["store"] == "s"
    assert error.retry_delay == 0.5


def test_error_without_details_is_classed_by_code():
    made = errors.from_rpc_error(FakeRpcError(grpc.StatusCode.NOT_FOUND))
    assert type(made) is sop.NotFoundError
    damaged = errors.from_rpc_error(
        FakeRpcError(grpc.StatusCode.ABORTED, [("grpc-status-details-bin", b"\xff\xff")])
    )
    assert type(damaged) is sop.AbortedError


def test_what_ends_a_stream_without_a_reason_is_a_lost_connection():
    known = Acquaintance("host:1")
    internal = grpc.StatusCode.INTERNAL
    assert type(known.explain_end(FakeRpcError(internal))) is sop.UnavailableError
    said = [("grpc-status-details-bin", b"")]
    assert type(known.explain_end(FakeRpcError(internal, said))) is sop.InternalError
    refused = FakeRpcError(grpc.StatusCode.UNAUTHENTICATED)
    assert type(known.explain_end(refused)) is sop.UnauthenticatedError


class FakeRpcError(grpc.RpcError):
    def __init__(self, code, trailers=()):
        self._code, self._trailers = code, trailers

    def code(self):
        return self._code

    def details(self):
        return "said so"

    def trailing_metadata(self):
        return self._trailers
