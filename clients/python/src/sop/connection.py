"""The connection to a server: channel, errors, repetitions. sop.aio.connection is its twin."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Generator, Iterator, Optional, TypeVar

import grpc

from sop.calls import CHANNEL_OPTIONS, Acquaintance, Pauses, methods_of
from sop.context import current_timeout
from sop.errors import OverloadedError, SopError, UnavailableError

D = TypeVar("D")
S = TypeVar("S", bound="Startable")


class Startable:
    """What begins when it is made; in sop.aio what is awaited or entered first."""

    def begin(self) -> None:
        """Begins, unless it has begun."""
        raise NotImplementedError


def started(startable: S) -> S:
    """It, begun."""
    startable.begin()
    return startable


def make_lock() -> Any:
    """A lock for a `with` block."""
    return threading.Lock()


def known(description: Optional[D], describe: Callable[[], D]) -> D:
    """A description, asked for if there is none yet."""
    return description if description is not None else describe()


class Backoff(Pauses):
    """Pauses that are made."""

    def wait(self, at_least: float = 0.0) -> bool:
        """Pauses. False, at once, if the time is over."""
        pause = self.next(at_least)
        if pause is None:
            return False
        time.sleep(pause)
        return True


class Connection:
    """A channel with its methods. Thread-safe.

    Calls raise SopError only. UNAVAILABLE is repeated with `patience` seconds of growing pauses
    where repeating is safe, once the server has answered something.
    """

    def __init__(self, address: str, patience: float) -> None:
        self.address = address
        self.patience = patience
        self._acquaintance = Acquaintance(address)
        self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        self._methods = methods_of(self._channel)
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether close() was called."""
        return self._is_closed

    def check_usable(self) -> None:
        """UnavailableError after close()."""
        if self._is_closed:
            raise UnavailableError(f"the connection to {self.address} is closed")

    def close(self) -> None:
        """Ends what is under way with CancelledError."""
        self._is_closed = True
        self._channel.close()

    def call(self, rpc: str, request: Any) -> Any:
        """One call, once, but for OVERLOADED, which the server answers before doing anything."""
        backoff = Backoff(self.patience)
        while True:
            try:
                return self._answer(lambda: self._methods[rpc](request, timeout=current_timeout()))
            except OverloadedError as error:
                if not backoff.wait(error.retry_delay or 0.0):
                    raise

    def call_repeatedly(self, rpc: str, request: Any) -> Any:
        """One call that is idempotent: repeated while the server cannot be reached."""
        backoff = Backoff(self.patience)
        while True:
            try:
                return self.call(rpc, request)
            except UnavailableError:
                if self._is_closed or not self._acquaintance.has_answered or not backoff.wait():
                    raise

    def call_with(self, rpc: str, make_requests: Callable[[], Iterator[Any]]) -> Any:
        """One call of many requests, once, but for OVERLOADED."""
        backoff = Backoff(self.patience)
        while True:
            try:
                return self._answer(
                    lambda: self._methods[rpc](make_requests(), timeout=current_timeout())
                )
            except OverloadedError as error:
                if not backoff.wait(error.retry_delay or 0.0):
                    raise

    def start(self, rpc: str, request: Any) -> Any:
        """Begins a call whose answer finish() waits for."""
        try:
            return self._methods[rpc].future(request, timeout=current_timeout())
        except ValueError as error:
            raise self._acquaintance.explain(error) from error

    def finish(self, future: Any) -> Any:
        """The answer to start(). Raises its SopError."""
        return self._answer(future.result)

    def stream(
        self, rpc: str, request: Any, is_resumed: bool = False
    ) -> Generator[Any, None, None]:
        """The answers to a call that gives many. UnavailableError if it broke and is resumed."""
        call = self.open_stream(rpc, request, current_timeout())
        explain = self.explain_end if is_resumed else self._acquaintance.explain
        try:
            while True:
                try:
                    answer = self._answer(lambda: next(call), explain)
                except StopIteration:
                    return
                yield answer
        finally:
            call.cancel()

    def open_stream(self, rpc: str, requests: Any, timeout: Optional[float]) -> Any:
        """The call of a method that streams; what it raises is for explain_end()."""
        try:
            return self._methods[rpc](requests, timeout=timeout)
        except ValueError as error:
            raise self._acquaintance.explain(error) from error

    def explain_end(self, error: grpc.RpcError) -> SopError:
        """The SopError of what ended a session's stream."""
        return self._acquaintance.explain_end(error)

    def _answer(
        self, attempt: Callable[[], Any], explain: Optional[Callable[[Any], SopError]] = None
    ) -> Any:
        try:
            answer = attempt()
        except grpc.RpcError as error:
            raise (explain or self._acquaintance.explain)(error) from None
        except (grpc.FutureCancelledError, ValueError) as error:
            raise self._acquaintance.explain(error) from None
        self._acquaintance.has_answered = True
        return answer
