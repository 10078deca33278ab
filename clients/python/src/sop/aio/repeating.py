"""Running a function in transactions until one is committed."""

from __future__ import annotations

from typing import Awaitable, Callable, TypeVar

from sop.aio.connection import Backoff
from sop.aio.transaction import Transaction
from sop.errors import AbortedError, UnavailableError

T = TypeVar("T")


async def run_repeatedly(
    begin: Callable[[], Transaction],
    function: Callable[[Transaction], Awaitable[T]],
    timeout: float,
) -> T:
    """See Database.run."""
    backoff = Backoff(timeout)
    while True:
        transaction = begin()
        try:
            await transaction.begin()
            result = await function(transaction)
            if transaction.has_begun:
                await transaction.commit()
            return result
        except (AbortedError, UnavailableError) as error:
            may_have_happened = error.metadata.get("outcome") == "unknown"
            if transaction.has_begun:
                await transaction.rollback()
            if may_have_happened or transaction.link.is_closed or not await backoff.wait():
                raise
        except BaseException:
            if transaction.has_begun:
                await transaction.rollback()
            raise
