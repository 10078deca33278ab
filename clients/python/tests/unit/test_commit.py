"""Commit and Database.run: exactly once in effect."""

import grpc
import pytest
from scripted_server import Failure, serve

import sop

UNAVAILABLE = Failure(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
LOST_ANSWER = Failure(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", after_work=True)
CONFLICT = Failure(
    grpc.StatusCode.ABORTED, "CONFLICT", metadata={"store": "accounts", "key": '"ann"'}
)


@pytest.fixture
def scripted():
    with serve() as (script, address):
        with sop.Database(sop.DatabaseOptions(address=address, patience=5.0)) as db:
            yield script, db


def add_one(db, runs):
    def body(t):
        runs.append(t.id)
        db.new_btree("s", t).add(sop.Item(len(runs), ""))
        return len(runs)

    return body


def commit_tokens(script):
    return [request.transaction_id for rpc, request in script.requests if rpc == "Commit"]


def test_commit_without_answer_is_repeated_with_the_same_token(scripted):
    script, db = scripted
    script.fail("Commit", LOST_ANSWER, UNAVAILABLE)
    with db.begin_transaction() as t:
        db.new_btree("s", t).add(sop.Item(1, ""))
    assert commit_tokens(script) == [t.token] * 3
    assert t.commit_version == b"w"


def test_commit_without_any_answer_says_that_the_outcome_is_unknown():
    with serve() as (script, address):
        db = sop.Database(sop.DatabaseOptions(address=address, patience=0.05))
        script.fail("Commit", *[UNAVAILABLE] * 100)
        runs = []
        with pytest.raises(sop.UnavailableError) as caught:
            db.run(add_one(db, runs))
        assert caught.value.metadata["outcome"] == "unknown"
        assert len(runs) == 1, "what may have been committed must not run again"


def test_outcome_that_is_unknown_can_be_asked_for_again():
    with serve() as (script, address):
        db = sop.Database(sop.DatabaseOptions(address=address, patience=0.05))
        t = db.begin_transaction()
        script.fail("Commit", *[UNAVAILABLE] * 100)
        with pytest.raises(sop.UnavailableError):
            t.commit()
        t.rollback()
        assert script.calls["Rollback"] == 0, "it may be committed"
        script.failures.clear()
        t.commit()
        assert t.commit_version == b"w"
        assert set(commit_tokens(script)) == {t.token}


def test_commit_cut_off_by_its_context_is_unknown():
    with serve() as (script, address):
        db = sop.Database(sop.DatabaseOptions(address=address))
        t = db.begin_transaction()
        with script.lock, pytest.raises(sop.DeadlineExceededError) as caught:
            t.commit(sop.Context(timeout=0.1))
        assert caught.value.metadata["outcome"] == "unknown"
        t.commit()
        assert t.commit_version == b"w"


def test_run_repeats_what_was_aborted(scripted):
    script, db = scripted
    script.fail("Commit", CONFLICT, CONFLICT)
    runs = []
    assert db.run(add_one(db, runs)) == 3
    assert len(set(runs)) == 3
    assert sum(script.committed.values()) == 1


def test_run_repeats_the_whole_transaction_when_a_write_got_no_answer(scripted):
    script, db = scripted
    script.fail("Add", LOST_ANSWER)
    runs = []
    assert db.run(add_one(db, runs)) == 2
    assert sum(script.committed.values()) == 1
    assert script.calls["Rollback"] == 1


def test_run_does_not_repeat_other_failures(scripted):
    script, db = scripted
    runs = []

    def body(t):
        runs.append(t)
        raise KeyError("mine")

    with pytest.raises(KeyError):
        db.run(body)
    assert len(runs) == 1
    assert script.calls["Rollback"] == 1


def test_run_gives_up_when_its_time_is_over(scripted):
    script, db = scripted
    script.fail("Commit", *[CONFLICT] * 1000)
    runs = []
    with pytest.raises(sop.ConflictError) as caught:
        db.run(add_one(db, runs), timeout=1.0)
    assert 2 <= len(runs) < 100
    assert caught.value.metadata == {"store": "accounts", "key": '"ann"'}


def test_run_accepts_that_the_function_ends_the_transaction_itself(scripted):
    script, db = scripted
    db.run(lambda t: t.rollback())
    assert script.calls["Commit"] == 0


def test_remove_btree_is_repeated_with_the_same_request_id(scripted):
    script, db = scripted
    db.name
    script.fail("RemoveStore", LOST_ANSWER)
    db.remove_btree("s")
    ids = [request.request_id for rpc, request in script.requests if rpc == "RemoveStore"]
    assert len(ids) == 2 and len(set(ids)) == 1
    assert ids[0][6] >> 4 == 7, "a UUIDv7"


def test_server_that_was_never_there_is_named_at_once():
    db = sop.Database(sop.DatabaseOptions(address="127.0.0.1:1"))
    with pytest.raises(sop.UnavailableError, match="127.0.0.1:1.*sopd running"):
        db.begin_transaction()


def test_address_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("SOP_ADDRESS", "example:1234")
    assert sop.Database().address == "example:1234"
    monkeypatch.delenv("SOP_ADDRESS")
    assert sop.Database().address == "localhost:7373"
    assert sop.Database(sop.DatabaseOptions(address="h:1")).address == "h:1"
