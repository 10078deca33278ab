"""The connection to a server: channel, stubs, errors, repetitions."""

from __future__ import annotations

import os
import random
import time
import uuid
from typing import Any, Callable

import grpc

from sop.context import current_timeout
from sop.errors import OverloadedError, SopError, UnavailableError, from_rpc_error
from sop.v1 import btree_pb2_grpc, database_pb2_grpc, transaction_pb2_grpc

DEFAULT_ADDRESS = "localhost:7373"
# The transport of the server accepts as much; the server's own limit is 4 MiB.
_TRANSPORT_BYTES = 16 * 1024 * 1024
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", _TRANSPORT_BYTES),
    ("grpc.max_send_message_length", _TRANSPORT_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A restarted server may not be met through a connection that another channel made.
    ("grpc.use_local_subchannel_pool", 1),
)


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


class Backoff:
    """Growing pauses with jitter, until `patience` seconds are over."""

    def __init__(self, patience: float, first: float = 0.005, longest: float = 0.5) -> None:
        self._end = time.monotonic() + patience
        self._pause = first
        self._longest = longest

    def wait(self, at_least: float = 0.0) -> bool:
        """Pauses. False, at once, if the time is over."""
        pause = max(at_least, self._pause * random.uniform(0.5, 1.0))
        if time.monotonic() + pause > self._end:
            return False
        time.sleep(pause)
        self._pause = min(self._pause * 2, self._longest)
        return True


def _untyped(stub: Any) -> Any:
    """Generated stubs have no annotations."""
    return stub


class Connection:
    """A channel with its stubs. Thread-safe.

    `patience` is how many seconds a call that may be repeated goes on trying while the server
    cannot be reached. A server that has never answered is not waited for.
    """

    def __init__(self, address: str, patience: float) -> None:
        self.address = address
        self.patience = patience
        self._channel = grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._has_answered = False
        self.databases: Any = _untyped(database_pb2_grpc.DatabaseServiceStub)(self._channel)
        transactions = _untyped(transaction_pb2_grpc.TransactionServiceStub)
        self.transactions: Any = transactions(self._channel)
        self.btrees: Any = _untyped(btree_pb2_grpc.BtreeServiceStub)(self._channel)

    def close(self) -> None:
        """Ends what is under way with CancelledError."""
        self._channel.close()

    def call(self, method: Any, request: Any) -> Any:
        """One call, once, but for OVERLOADED, which the server answers before doing anything."""
        return self._until_admitted(lambda: method(request, timeout=current_timeout()))

    def start(self, method: Any, request: Any) -> Any:
        """Begins a call whose answer finish() waits for."""
        return method.future(request, timeout=current_timeout())

    def finish(self, future: Any) -> Any:
        """The answer to start(). Raises its SopError."""
        return self._answer(future.result)

    def call_repeatedly(self, method: Any, request: Any) -> Any:
        """One call that is idempotent: repeated while the server cannot be reached."""
        backoff = Backoff(self.patience)
        while True:
            try:
                return self.call(method, request)
            except UnavailableError:
                if not self._has_answered or not backoff.wait():
                    raise

    def _until_admitted(self, attempt: Callable[[], Any]) -> Any:
        backoff = Backoff(self.patience)
        while True:
            try:
                return self._answer(attempt)
            except OverloadedError as error:
                if not backoff.wait(error.retry_delay or 0.0):
                    raise

    def _answer(self, attempt: Callable[[], Any]) -> Any:
        try:
            answer = attempt()
        except grpc.RpcError as error:
            raise self._explained(from_rpc_error(error)) from None
        except grpc.FutureCancelledError as error:
            raise SopError("the call was cancelled", code=grpc.StatusCode.CANCELLED) from error
        except ValueError as error:
            raise UnavailableError(f"the connection to {self.address} is closed") from error
        self._has_answered = True
        return answer

    def _explained(self, error: SopError) -> SopError:
        if isinstance(error, UnavailableError):
            if not self._has_answered:
                error.message = f"no server at {self.address}, is sopd running? ({error.message})"
            error.metadata.setdefault("address", self.address)
        elif error.code != grpc.StatusCode.CANCELLED:
            self._has_answered = True
        return error

