"""Context: what calls take along; may be given first, or left out, in every call."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from types import MethodType
from typing import Any, Callable, Concatenate, Generic, Iterator, Optional, ParamSpec, Protocol
from typing import TypeVar, overload

from sop.errors import CancelledError

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Context:
    """Limits the calls that it is given to. Thread-safe.

    `timeout` is the most seconds that one call to the server may take; none by default.
    """

    def __init__(self, timeout: Optional[float] = None) -> None:
        self.timeout = timeout
        self._cancelled = False

    def cancel(self) -> None:
        """Lets every later call with this context raise CancelledError."""
        self._cancelled = True

    @property
    def is_cancelled(self) -> bool:
        """Whether cancel() was called."""
        return self._cancelled

    def remaining(self) -> Optional[float]:
        """The timeout of a call that starts now. Raises CancelledError after cancel()."""
        if self._cancelled:
            raise CancelledError("the context was cancelled")
        return self.timeout


_given: ContextVar[Optional[Context]] = ContextVar("sop_context", default=None)


def current_context() -> Optional[Context]:
    """The context that the running call was given."""
    return _given.get()


@contextmanager
def using(context: Optional[Context]) -> Iterator[None]:
    """Lets the calls in the block take `context` along, unless it is None."""
    if context is None:
        yield
        return
    before = _given.set(context)
    try:
        yield
    finally:
        _given.reset(before)


def current_timeout() -> Optional[float]:
    """The timeout of the context that the running call was given."""
    context = _given.get()
    return context.remaining() if context is not None else None


class ContextCall(Protocol[P, R_co]):
    """A method that takes a Context before its own parameters, or not."""

    @overload
    def __call__(self, ctx: Context, /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class takes_context(Generic[S, P, R]):
    """Decorates a method so that callers may give a Context first, as `ctx=`, or not at all."""

    def __init__(self, function: Callable[Concatenate[S, P], R]) -> None:
        is_async = inspect.iscoroutinefunction(function)
        self._function = _awaiting(function) if is_async else _calling(function)
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    @overload
    def __get__(self, instance: None, owner: type[S]) -> Callable[..., R]: ...

    @overload
    def __get__(self, instance: S, owner: type[S]) -> ContextCall[P, R]: ...

    def __get__(self, instance: Optional[S], owner: type[S]) -> Any:
        return self._function if instance is None else MethodType(self._function, instance)


def _calling(function: Any) -> Any:
    """A method that takes a Context first; its name, words and parameters are those of `function`."""

    @wraps(function)
    def call(instance: Any, *args: Any, **kwargs: Any) -> Any:
        context = kwargs.pop("ctx", None)
        if args and isinstance(args[0], Context):
            context, args = args[0], args[1:]
        if context is None:
            return function(instance, *args, **kwargs)
        with using(context):
            return function(instance, *args, **kwargs)

    return call


def _awaiting(function: Any) -> Any:
    """The same for a coroutine method: what it awaits takes the Context along."""

    @wraps(function)
    async def call(instance: Any, *args: Any, **kwargs: Any) -> Any:
        context = kwargs.pop("ctx", None)
        if args and isinstance(args[0], Context):
            context, args = args[0], args[1:]
        with using(context):
            return await function(instance, *args, **kwargs)

    return call
