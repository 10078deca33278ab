"""What both faces of the client know about calling a server: addresses, stubs, ids, errors."""

from __future__ import annotations

import os
import random
import time
import uuid
from typing import Any, Optional

import grpc

from sop.errors import CancelledError, DeadlineExceededError, SopError, UnavailableError
from sop.errors import from_rpc_error, has_reason
from sop.pages import read_scan_response
from sop.v1 import btree_pb2, btree_pb2_grpc, database_pb2_grpc, transaction_pb2_grpc

DEFAULT_ADDRESS = "localhost:7373"
# The transport of the server accepts as much; the server's own limit is 4 MiB.
_TRANSPORT_BYTES = 16 * 1024 * 1024
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", _TRANSPORT_BYTES),
    ("grpc.max_send_message_length", _TRANSPORT_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A network that went away without a word is noticed. The server allows a ping in 10 seconds.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # While another ping of gRPC's is under way, none is sent to keep alive: that one counts then.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 0),
    # A restarted server may not be met through a connection that another channel made.
    ("grpc.use_local_subchannel_pool", 1),
)
_OF_BROKEN_STREAMS = (
    grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN
)  # fmt: skip
_DATABASE_RPCS = ("CreateDatabase", "DeleteDatabase", "GetStore", "ListStores", "RemoveStore")
_TRANSACTION_RPCS = ("Begin", "Commit", "Rollback", "Session")
_BTREE_RPCS: tuple[str, ...] = ("CreateBtree", "OpenBtree", "Add", "AddIfNotExists", "Update", "Upsert")
_BTREE_RPCS += ("UpdateKey", "Remove", "Get", "Seek", "ReadPage", "Count", "Sample", "Watch")
_BTREE_RPCS += ("PutValue", "ReadValue")


def default_address() -> str:
    """SOP_ADDRESS, else localhost:7373."""
    return os.environ.get("SOP_ADDRESS") or DEFAULT_ADDRESS


def make_request_id() -> bytes:
    """A UUIDv7: 48 bits of milliseconds, then random ones."""
    millis = time.time_ns() // 1_000_000
    number = (millis << 80) | random.SystemRandom().getrandbits(80)
    number = number & ~(0xF << 76) | (0x7 << 76)
    number = number & ~(0x3 << 62) | (0x2 << 62)
    return uuid.UUID(int=number).bytes


def methods_of(channel: Any) -> dict[str, Any]:
    """The methods of a channel, of either face, by the names of their rpcs."""
    # Generated stubs have no annotations.
    services: tuple[tuple[Any, tuple[str, ...]], ...] = (
        (database_pb2_grpc.DatabaseServiceStub, _DATABASE_RPCS),
        (transaction_pb2_grpc.TransactionServiceStub, _TRANSACTION_RPCS),
        (btree_pb2_grpc.BtreeServiceStub, _BTREE_RPCS),
    )
    methods: dict[str, Any] = {}
    for service, rpcs in services:
        stub = service(channel)
        methods.update({rpc: getattr(stub, rpc) for rpc in rpcs})
    methods["Scan"] = channel.unary_stream(
        "/sop.v1.BtreeService/Scan",
        request_serializer=btree_pb2.ScanRequest.SerializeToString,
        response_deserializer=read_scan_response,
    )
    return methods


class Pauses:
    """Growing pauses with jitter, until `patience` seconds are over."""

    def __init__(self, patience: float, first: float = 0.005, longest: float = 0.5) -> None:
        self._end = time.monotonic() + patience
        self._pause = first
        self._longest = longest

    def next(self, at_least: float = 0.0) -> Optional[float]:
        """Seconds to wait now; None if the time is over."""
        pause = max(at_least, self._pause * random.uniform(0.5, 1.0))
        if time.monotonic() + pause > self._end:
            return None
        self._pause = min(self._pause * 2, self._longest)
        return pause


class Acquaintance:
    """What is known of the server at an address: whether it has ever answered.

    One that never has is not waited for.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.has_answered = False

    def explain(self, error: Exception) -> SopError:
        """The SopError of what a call raised."""
        if isinstance(error, grpc.RpcError):
            return self._explain(from_rpc_error(error))
        if isinstance(error, grpc.FutureTimeoutError):
            return DeadlineExceededError("no answer in the time that the context gives")
        if isinstance(error, grpc.FutureCancelledError):
            return CancelledError("the call was cancelled")
        return UnavailableError(f"the connection to {self.address} is closed")

    def explain_end(self, error: grpc.RpcError) -> SopError:
        """The SopError of what ended a session's stream: UnavailableError if it broke."""
        made = self._explain(from_rpc_error(error))
        # What the server says has a reason; gRPC says these when the connection is lost, too.
        if made.code in _OF_BROKEN_STREAMS and not has_reason(error):
            return UnavailableError(f"the session broke: {made.message}")
        return made

    def _explain(self, error: SopError) -> SopError:
        if isinstance(error, UnavailableError):
            if not self.has_answered:
                error.message = f"no server at {self.address}, is sopd running? ({error.message})"
            error.metadata.setdefault("address", self.address)
        elif error.code != grpc.StatusCode.CANCELLED:
            self.has_answered = True
        return error
