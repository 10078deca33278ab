"""Keys, values, options and errors as messages."""

import random
import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import grpc
import pytest
from scripted_server import Failure, serve

import sop
from sop import errors
from sop.calls import Acquaintance
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
