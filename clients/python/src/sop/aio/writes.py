"""Writes of a transaction: collected into batches, sent ahead, looked at when somebody asks."""

from __future__ import annotations

from collections import deque
from typing import Any, Awaitable, Callable, Protocol, Sequence

from sop.aio.link import Link
from sop.batch import BATCH_BYTES, BATCH_ITEMS, OF_ONE_ITEM, Write, WriteKind, first_batch
from sop.batch import is_effect_unknown, parts_of
from sop.context import current_timeout
from sop.errors import CancelledError, SopError


class Owner(Protocol):
    """What a queue needs of its transaction."""

    link: Link
    unseen: int

    def check_usable(self) -> None:
        """Raises what made the transaction fail, or that it has ended."""

    def fail(self, error: SopError) -> None:
        """Lets nothing but a rollback happen from now on."""


class WriteQueue:
    """The writes of one store in one transaction, in order. Confined to the transaction's task.

    Invariant: what is under way came before all that is pending, and is at most what the link
    takes at once.
    """

    def __init__(self, owner: Owner, store: str) -> None:
        self._owner = owner
        self._store = store
        self._pending: list[Write] = []
        self._pending_bytes = 0
        self._under_way: deque[tuple[Any, list[Write]]] = deque()
        # Grows with every write, for readers that keep what they have read.
        self.version = 0

    async def put(self, writes: Sequence[Write]) -> None:
        """Collects; sends when there is enough for a batch. Raises what an earlier batch met."""
        self.version += len(writes)
        self._pending.extend(writes)
        for write in writes:
            self._pending_bytes += write.size_bytes
        while len(self._pending) >= BATCH_ITEMS or self._pending_bytes >= BATCH_BYTES:
            await self._send(())

    async def put_large(self, write: Write) -> None:
        """Sends a large value, behind all that was written before. Raises its failure."""
        try:
            answer = await self._send_alone(
                lambda: self._owner.link.put_value(lambda: parts_of(write, self._store))
            )
        except SopError as error:
            write.error, write.item, write.large_value = error, None, None
            raise
        write.large_value = None
        self._take([write], answer)

    async def put_page(self, kind: WriteKind, page: bytes) -> Any:
        """Sends a packed page, behind all that was written before; its report."""
        request = kind.request_type(store=self._store, packed=page)
        answer = await self._send_alone(lambda: self._owner.link.call(kind.value, request))
        return answer.report

    async def flush(self, looked_at: Sequence[Write] = ()) -> None:
        """Sends everything and waits. Raises the first failure.

        The transaction can go on after a failure only if it is of `looked_at` and nothing was
        written after that: the caller then knows exactly what has not happened.
        """
        self._owner.check_usable()
        while self._pending:
            await self._send(looked_at)
        await self.settle_all(looked_at)

    async def settle_all(self, looked_at: Sequence[Write] = ()) -> None:
        """Waits for all that was sent. Raises the first failure."""
        while self._under_way:
            await self._settle(looked_at)

    async def send_all(self) -> None:
        """Sends everything, and waits only for what the link does not take at once."""
        while self._pending:
            await self._send(())

    def abandon(self) -> None:
        """Forgets what was not sent, before a rollback."""
        for future, _ in self._under_way:
            future.cancel()
        self._under_way.clear()
        self._pending = []

    def mark_seen(self, writes: Sequence[Write]) -> None:
        """Takes them off the unseen outcomes. Raises the first failure among them."""
        for write in writes:
            if write.error is not None:
                raise write.error
            if write.is_counted:
                write.is_counted = False
                self._owner.unseen -= 1

    async def _send(self, looked_at: Sequence[Write]) -> None:
        """Starts a batch, when there is room for one on the link."""
        while len(self._under_way) >= self._owner.link.batches_at_once:
            await self._settle(looked_at)
        if not self._pending:
            return
        batch = self._pending[: first_batch(self._pending)]
        # What is raised here, or cancelled, was not sent: a later flush does.
        future = await self._owner.link.start(batch[0].kind.value, self._request(batch))
        del self._pending[: len(batch)]
        self._pending_bytes -= sum(write.size_bytes for write in batch)
        self._under_way.append((future, batch))

    async def _settle(self, looked_at: Sequence[Write]) -> None:
        """Waits for the oldest batch under way."""
        future, batch = self._under_way[0]
        try:
            answer = await self._owner.link.finish(future)
        except CancelledError:
            raise  # the caller gave up; the answer may still come
        except SopError as error:
            self._under_way.popleft()
            await self._on_failure(batch, error, looked_at)
            return
        self._under_way.popleft()
        self._take(batch, answer)

    async def _on_failure(
        self, batch: list[Write], error: SopError, looked_at: Sequence[Write]
    ) -> None:
        if self._owner.link.failure_poisons:
            self._give_up(batch, error)
        elif error.reason == "OVERLOADED":
            # Refused before anything was done: sent again, with the server's pause.
            await self._run(batch, looked_at)
        elif len(batch) > 1 and error.reason in OF_ONE_ITEM:
            # As if each item had been sent alone: what comes before the one at fault is written.
            half = len(batch) // 2
            self._pending = batch[half:] + self._pending
            await self._run(batch[:half], looked_at)
            rest = len(batch) - half
            second, self._pending = self._pending[:rest], self._pending[rest:]
            await self._run(second, looked_at)
        else:
            is_last_looked_at = bool(looked_at) and batch[-1] is looked_at[-1]
            is_exact = is_last_looked_at and len(batch) == 1 and not is_effect_unknown(error)
            if self._pending or not is_exact:
                self._give_up(batch, error)
            for write in batch:
                write.error, write.item = error, None
            raise error

    def _give_up(self, batch: list[Write], error: SopError) -> None:
        self._drop_all(batch, error)
        raise error

    def _drop_all(self, batch: list[Write], error: SopError) -> None:
        """Nothing that was not answered happens any more."""
        for write in [*batch, *(each for _, late in self._under_way for each in late)]:
            write.error, write.item = error, None
        for write in self._pending:
            write.error, write.item = error, None
        self._under_way.clear()
        self._pending, self._pending_bytes = [], 0
        self._owner.fail(error)

    async def _send_alone(self, send: Callable[[], Awaitable[Any]]) -> Any:
        """Sends what is no batch. If its effect is not known the transaction cannot go on."""
        await self.flush()
        current_timeout()  # a context that was cancelled lets nothing be sent
        self.version += 1
        try:
            return await send()
        except SopError as error:
            if is_effect_unknown(error):
                self._owner.fail(error)
            raise
        except BaseException:
            self._owner.fail(_interrupted())
            raise

    async def _run(self, batch: list[Write], looked_at: Sequence[Write]) -> None:
        try:
            answer = await self._owner.link.call(batch[0].kind.value, self._request(batch))
        except SopError as error:
            if error.reason == "OVERLOADED":
                self._owner.fail(error)
                raise
            await self._on_failure(batch, error, looked_at)
            return
        except BaseException:
            # Its batch is neither under way nor pending any more.
            self._drop_all(batch, _interrupted())
            raise
        self._take(batch, answer)

    def _take(self, batch: list[Write], answer: Any) -> None:
        report = answer.report
        ids = report.item_ids or [b""] * len(batch)
        for write, outcome, item_id in zip(batch, report.outcomes, ids, strict=True):
            write.outcome, write.item_id, write.item = outcome, item_id, None
            if not write.is_good:
                write.is_counted = True
                self._owner.unseen += 1

    def _request(self, batch: list[Write]) -> Any:
        items = [write.item for write in batch]
        return batch[0].kind.request_type(store=self._store, items=items)


def _interrupted() -> SopError:
    return CancelledError(
        "a call was cancelled while it sent writes: the transaction can only be rolled back"
    )
