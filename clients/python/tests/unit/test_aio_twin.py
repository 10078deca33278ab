"""sop.aio has everything that sop has, with the same parameters and the same words."""

import importlib
import inspect
import pkgutil
import re

import pytest

import sop
import sop.aio

CLASSES = ["Btree", "Database", "PendingCommit", "Session", "Transaction", "Watch", "WriteResult"]
MODULES = ["ai", "btree", "database", "session", "transaction"]
# What asks nothing of a server has no twin.
SHARED = {"aio", "errors", "testing", *sop.errors.__all__}
DUNDERS = {"__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__"}


def members(cls):
    """Public members, and those by which blocks and loops use it."""
    found = {}
    for name, member in inspect.getmembers(cls):
        known_as = DUNDERS.get(name, name)
        if not name.startswith("_") or known_as in DUNDERS.values():
            found[known_as] = getattr(member, "__wrapped__", member)
    return found


def signature(member):
    if not callable(member):
        return type(member).__name__
    return [(p.name, p.kind, p.default) for p in inspect.signature(member).parameters.values()]


@pytest.mark.parametrize("module", ["", *(f".{name}" for name in MODULES)])
def test_modules_have_the_same_names(module):
    blocking = importlib.import_module(f"sop{module}")
    waiting = importlib.import_module(f"sop.aio{module}")
    assert set(blocking.__all__) - SHARED == set(waiting.__all__)
    for name in waiting.__all__:
        mine, its = getattr(waiting, name), getattr(blocking, name)
        assert mine is its or name in CLASSES + MODULES


@pytest.mark.parametrize("name", CLASSES)
def test_classes_have_the_same_members(name):
    blocking, waiting = members(getattr(sop, name)), members(getattr(sop.aio, name))
    assert set(blocking) == set(waiting)
    for member in blocking:
        assert signature(blocking[member]) == signature(waiting[member]), member


def test_calls_that_ask_the_server_are_coroutines():
    asked = re.findall(r"\basync def (\w+)", inspect.getsource(sop.aio.btree))
    assert {"add", "find", "next", "count", "get_items", "to_numpy"} <= set(asked)
    for name in asked:
        assert not inspect.iscoroutinefunction(members(sop.Btree).get(name)), name


def test_nothing_of_asyncio_is_left_in_the_blocking_modules():
    derived = {each.name for each in pkgutil.iter_modules(sop.aio.__path__)}
    assert {"btree", "cursor", "link", "writes"} <= derived
    for name in derived:
        source = inspect.getsource(importlib.import_module(f"sop.{name}"))
        left = re.findall(r"\b(?:async|await|Awaitable|a?sync_|asyncio)\b|\bsop\.aio\.\w+ import", source)
        assert not left, f"sop.{name}: {left}"


@pytest.mark.parametrize("name", ["Btree", "Database", "Session", "Transaction"])
@pytest.mark.parametrize("module", [sop, sop.aio])
def test_every_call_takes_a_context(module, name):
    cls = getattr(module, name)
    for member in (n for n in dir(cls) if not n.startswith("_")):
        found = inspect.getattr_static(cls, member)
        # What its own parts call, not users.
        if inspect.isfunction(found) and member not in ("check_usable", "fail", "queue_of"):
            raise AssertionError(f"{name}.{member} takes no Context")
