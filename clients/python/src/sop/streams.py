"""The stream of a session. sop.aio.streams is its twin."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import CancelledError as FutureCancelledError
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Optional

import grpc

from sop.connection import Connection
from sop.context import current_timeout
from sop.errors import CancelledError, DeadlineExceededError, SopError, UnavailableError
from sop.errors import copy_of, from_status
from sop.v1 import transaction_pb2

# Requests that wait for their answers: half of what the server takes in before it reads answers.
MOST_REQUESTS = 500
MOST_BYTES = 8 << 20
# The server ends what is over its time itself; this much later nobody waits for that any more.
_GRACE_SECONDS = 5.0


class Stream:
    """Sends requests without waiting, and sorts their answers. Thread-safe.

    At most MOST_REQUESTS and MOST_BYTES wait for answers; send() waits until there is room. When
    it breaks, all that waits for answers is told so, and the next begin opens it anew.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._requests: queue.SimpleQueue[Optional[Any]] = queue.SimpleQueue()
        self._lock = threading.Condition()
        # By id: who waits, and how many bytes were sent.
        self._waiting: dict[int, tuple[Future[Any], int]] = {}
        self._bytes = 0
        self._last_id = 0
        self._call: Any = None
        self._end: Optional[SopError] = None
        self._is_closed = False
        # Grows with each opening: what belongs to one is lost with it.
        self.opening = 1

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, and will not be opened anew."""
        return self._is_closed

    def send(self, request: transaction_pb2.SessionRequest, opening: int = 0) -> Future[Any]:
        """Sends in that opening, or in any; the answer is for answer()."""
        self.connection.check_usable()
        timeout = current_timeout()
        if timeout is not None:
            request.timeout.FromNanoseconds(int(timeout * 1e9))
        size = request.ByteSize()
        future: Future[Any] = Future()
        with self._lock:
            self._lock.wait_for(lambda: self._end is not None or self._has_room(size))
            if self._end is not None and (opening or self._is_closed):
                raise copy_of(self._end)
            if opening not in (0, self.opening):
                raise UnavailableError("the session broke meanwhile")
            if self._call is None or self._end is not None:
                self._open()
            self._last_id += 1
            request.id = self._last_id
            self._waiting[request.id] = (future, size)
            self._bytes += size
            self._requests.put(request)
        return future

    def answer(self, future: Future[Any]) -> Any:
        """Waits for an answer. Raises the SopError that it is."""
        timeout = current_timeout()
        try:
            answer = future.result(timeout + _GRACE_SECONDS if timeout is not None else None)
        except FutureTimeoutError as error:
            raise DeadlineExceededError("no answer in the time that the context gives") from error
        except FutureCancelledError as error:
            raise CancelledError("nobody waited for the answer") from error
        if answer.WhichOneof("response") == "status":
            raise from_status(answer.status)
        return answer

    def peek(self, future: Optional[Future[Any]]) -> Any:
        """The answer if it has come and is not a failure, else None."""
        if future is None or not future.done() or future.exception() is not None:
            return None
        return future.result()

    def drain(self) -> None:
        """Sends nothing more, and waits until all is answered, at most as long as the connection
        has patience.
        """
        with self._lock:
            if self._call is None or self._end is not None:
                return
            self._end, self._is_closed = UnavailableError("the session is closed"), True
            self._requests.put(None)
            self._lock.notify_all()
            self._lock.wait_for(lambda: not self._waiting, self.connection.patience)

    def close(self) -> None:
        """Ends the stream: what is open is rolled back, what waits is told so."""
        self._finish(UnavailableError("the session is closed"), closes=True)
        self._requests.put(None)
        if self._call is not None:
            self._call.cancel()

    def _has_room(self, size: int) -> bool:
        few = len(self._waiting) < MOST_REQUESTS and self._bytes + size <= MOST_BYTES
        return few or not self._waiting

    def _open(self) -> None:
        requests: queue.SimpleQueue[Optional[Any]] = queue.SimpleQueue()
        call = self.connection.open_stream("Session", iter(requests.get, None), None)
        # It may be refused: only now the one that ended is forgotten.
        if self._end is not None:
            self._end = None
            self.opening += 1
        self._call, self._requests = call, requests
        threading.Thread(target=self._read, name="sop-session", daemon=True).start()

    def _read(self) -> None:
        """The thread that reads answers until the stream ends."""
        end: SopError = UnavailableError("the server ended the session")
        try:
            for answer in self._call:
                self._take(answer)
        except grpc.RpcError as error:
            end = self.connection.explain_end(error)
        self._requests.put(None)
        self._finish(end)

    def _take(self, answer: Any) -> None:
        with self._lock:
            future, size = self._waiting.pop(answer.id, (None, 0))
            self._bytes -= size
            self._lock.notify_all()
        if future is not None:
            try:
                future.set_result(answer)
            except InvalidStateError:
                pass  # cancelled by who waited

    def _finish(self, end: SopError, closes: bool = False) -> None:
        with self._lock:
            if not self._is_closed:
                self._end, self._is_closed = end, closes
            waiting = [future for future, _ in self._waiting.values()]
            self._waiting.clear()
            self._bytes = 0
            self._lock.notify_all()
        for future in waiting:
            try:
                future.set_exception(copy_of(end))
            except InvalidStateError:
                pass
