"""What a Context limits, and what the calls that take one look like."""

import inspect
import pydoc
import time
from contextlib import ExitStack

import pytest
from scripted_server import serve

import sop
import sop.aio
from sop.v1 import types_pb2


@pytest.fixture
def scripted():
    with serve() as (script, address):
        with sop.Database(sop.DatabaseOptions(address=address, patience=5.0)) as db:
            yield script, db


@pytest.mark.parametrize("face", [sop, sop.aio])
def test_calls_show_their_words_and_parameters(face):
    store = object.__new__(face.Btree)
    assert store.add.__doc__ == face.Btree.add.__doc__ and "Adds" in store.add.__doc__
    assert store.add.__name__ == "add"
    assert list(inspect.signature(store.find_with_id).parameters) == ["key", "id"]
    assert list(inspect.signature(face.Btree.find_with_id).parameters) == ["self", "key", "id"]
    assert inspect.iscoroutinefunction(store.add) == (face is sop.aio)
    assert "what comes before one that is refused" in pydoc.render_doc(store.add)
    assert "Goes to the first item with this key" in pydoc.render_doc(face.Btree)


@pytest.mark.parametrize("error", [None, ZeroDivisionError])
def test_context_of_a_transaction_limits_what_leaving_its_block_does(scripted, error):
    script, db = scripted
    start = time.monotonic()
    # While the lock is held nothing is answered.
    with ExitStack() as held, pytest.raises(error or sop.DeadlineExceededError) as caught:
        with db.begin_transaction(sop.Context(timeout=0.5)):
            held.enter_context(script.lock)
            if error:
                raise error
    assert time.monotonic() - start < 4
    assert error or caught.value.metadata["outcome"] == "unknown"


def test_a_cancelled_context_sends_no_commit_and_a_rollback(scripted):
    script, db = scripted
    context = sop.Context()
    with pytest.raises(sop.CancelledError) as caught:
        with db.begin_transaction(context):
            context.cancel()
    assert "outcome" not in caught.value.metadata
    assert (script.calls["Commit"], script.calls["Rollback"]) == (0, 1)
    context = sop.Context()
    with pytest.raises(ZeroDivisionError):
        with db.begin_transaction(context):
            context.cancel()
            1 / 0
    assert (script.calls["Commit"], script.calls["Rollback"]) == (0, 2)


def test_mode_goes_before_that_of_the_options(scripted):
    script, db = scripted
    options = sop.TransactionOptions(max_duration=3600)
    reader = sop.TransactionOptions(sop.ForReading)
    for given in ((sop.ForReading, options), (2, options), (None, reader), (sop.ForWriting, reader)):
        t = db.begin_transaction(*given)
        wanted = sop.ForWriting if given[0] == sop.ForWriting else sop.ForReading
        assert t.mode is wanted and options.mode is sop.ForWriting
    requests = [request for rpc, request in script.requests if rpc == "Begin"]
    read_only, read_write = types_pb2.TRANSACTION_MODE_READ_ONLY, types_pb2.TRANSACTION_MODE_READ_WRITE
    assert [r.mode for r in requests] == [read_only] * 3 + [read_write]
    assert [r.max_duration.seconds for r in requests] == [3600, 3600, 0, 0]
