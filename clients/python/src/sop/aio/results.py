"""What writes return in asyncio. sop.results is its twin."""

from __future__ import annotations

from typing import Any, Generator, Optional

from sop.batch import Write, are_settled, item_ids, outcome_names, repr_of
from sop.errors import InvalidArgumentError


class WriteResult:
    """What a write call returns: `await` it for the boolean that says whether all its items were
    written, which sends what is still collected. From then on it is equal to that boolean.
    """

    __slots__ = ("_queue", "_writes")

    def __init__(self, queue: Any, writes: list[Write]) -> None:
        self._queue = queue
        self._writes = writes

    def __await__(self) -> Generator[Any, None, bool]:
        if not are_settled(self._writes):
            yield from self._queue.flush(self._writes).__await__()
        return bool(self)

    def __bool__(self) -> bool:
        self._look()
        return all(write.is_good for write in self._writes)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (bool, WriteResult)):
            return bool(self) == bool(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(bool(self))

    def __str__(self) -> str:
        return str(bool(self))

    def __repr__(self) -> str:
        return repr_of(self._writes)

    @property
    def outcomes(self) -> list[str]:
        """One per item: ADDED, REPLACED, ALREADY_THERE, NOT_FOUND, UPDATED, REMOVED."""
        self._look()
        return outcome_names(self._writes)

    @property
    def item_ids(self) -> list[Optional[str]]:
        """One per item: its id in a store that is not unique, else None."""
        self._look()
        return item_ids(self._writes)

    def _look(self) -> None:
        if not are_settled(self._writes):
            raise InvalidArgumentError("the outcome is not known before `await result`")
        self._queue.mark_seen(self._writes)
