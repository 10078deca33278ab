"""Sessions from one thread and from many: nothing waits that need not, nothing is lost."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cut_connections import CuttingProxy

import sop


@pytest.fixture
def session(db):
    with db.session() as opened:
        yield opened


@pytest.fixture
def store(db, session):
    with session.begin_transaction() as t:
        store = db.new_btree("s", t)
        store.add(sop.Item(-1, "first"))
    return store


def read(db):
    with db.begin_transaction(sop.ForReading) as t:
        return {item.key: item.value for item in db.open_btree("s", t)}


def test_commits_are_sent_without_waiting(db, session, store):
    commits = []
    for number in range(3000):
        t = session.begin_transaction()
        store.in_transaction(t).add(sop.Item(number, number))
        commits.append(t.commit_later())
    versions = {each.result() for each in commits}
    assert b"" not in versions and len(versions) > 1
    assert read(db) == {-1: "first", **{number: number for number in range(3000)}}


def test_a_block_waits_for_its_commit(db, session, store):
    with session.begin_transaction() as t:
        store.in_transaction(t).upsert(sop.Item(1, "a"))
    assert t.commit_version and t.id
    assert read(db)[1] == "a"


def test_reads_and_writes_of_a_sessions_transaction(db, session, store):
    with session.begin_transaction() as t:
        mine = db.open_btree("s", t)
        assert mine.add([sop.Item(key, f"value {key}") for key in range(5000)])
        assert mine.find(70) and mine.get_current_value() == "value 70"
        assert mine.next() and mine.get_current_key() == 71
        assert mine.count() == 5001
        assert sum(1 for _ in mine) == 5001
        assert mine.to_numpy().key.tolist() == list(range(-1, 5000))
        assert not mine.add(sop.Item(70, ""))
        assert db.list_btrees(t) == ["s"]
        mine.remove(70)
    assert t.unseen_outcomes == 0
    assert 70 not in read(db)


def test_exception_rolls_back(db, session, store):
    with pytest.raises(ZeroDivisionError):
        with session.begin_transaction() as t:
            assert store.in_transaction(t).add(sop.Item(1, ""))
            1 / 0
    assert read(db) == {-1: "first"}


def test_failed_write_is_raised_by_the_commit_and_harms_no_other(db, session, store):
    bad, good = session.begin_transaction(), session.begin_transaction()
    looked_at = store.in_transaction(bad).add(sop.Item("text", ""))
    store.in_transaction(good).add(sop.Item(1, "good"))
    pending, other = bad.commit_later(), good.commit_later()
    with pytest.raises(sop.KeyTypeDiffersError):
        pending.result()
    with pytest.raises(sop.KeyTypeDiffersError):
        bool(looked_at)
    assert other.result() == good.commit_version
    assert read(db) == {-1: "first", 1: "good"}


def test_failed_read_leaves_nothing_but_a_rollback(db, session, store):
    t = session.begin_transaction()
    mine = store.in_transaction(t)
    mine.add(sop.Item(1, ""))
    with pytest.raises(sop.KeyTypeDiffersError):
        mine.find("text")
    with pytest.raises(sop.TransactionPoisonedError):
        t.commit()
    assert read(db) == {-1: "first"}


def test_conflict_is_told_by_the_result(db, session, store):
    t = session.begin_transaction()
    mine = store.in_transaction(t)
    assert mine.find(-1)
    db.run(lambda other: store.in_transaction(other).update(sop.Item(-1, "theirs")))
    mine.update_current_value("mine")
    pending = t.commit_later()
    with pytest.raises(sop.ConflictError) as caught:
        pending.result()
    assert caught.value.metadata["store"] == "s"
    assert read(db) == {-1: "theirs"}


def test_threads_share_a_session(db, session, store):
    def increment(t):
        mine = store.in_transaction(t)
        assert mine.find("n")
        mine.update_current_value(mine.get_current_value() + 1)

    with session.begin_transaction() as t:
        store = db.new_btree("counter", t)
        store.add(sop.Item("n", 0))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: session.run(increment), range(80)))
    with session.begin_transaction() as t:
        mine = store.in_transaction(t)
        assert mine.find("n") and mine.get_current_value() == 80


def test_what_is_open_when_the_session_ends_is_rolled_back(db, store):
    with db.session() as other:
        t = other.begin_transaction()
        assert store.in_transaction(t).add(sop.Item(1, ""))
    with pytest.raises(sop.UnavailableError, match="closed"):
        store.in_transaction(t).count()
    with pytest.raises(sop.UnavailableError):
        other.begin_transaction()
    assert read(db) == {-1: "first"}


def test_leaving_waits_for_what_was_sent(db, store):
    commits = []
    with db.session() as other:
        for number in range(300):
            t = other.begin_transaction()
            store.in_transaction(t).add(sop.Item(number, "x" * 1000))
            commits.append(t.commit_later())
        left_open = other.begin_transaction()
        store.in_transaction(left_open).add(sop.Item("text", ""))
        later = other.begin_transaction()
        store.in_transaction(later).add(sop.Item(1000, ""))
        later.flush()
    assert all(each.result() for each in commits)
    assert set(read(db)) == {*range(-1, 300)}
    for t in (left_open, later):
        with pytest.raises((sop.UnavailableError, sop.TransactionLostError)):
            t.commit()
    assert set(read(db)) == {*range(-1, 300)}


def test_leaving_waits_no_longer_than_the_database_has_patience(server):
    with CuttingProxy(server.address) as proxy:
        options = sop.DatabaseOptions(name="impatient", address=proxy.address, patience=0.5)
        with sop.Database(options) as db:
            with db.session() as session:
                with session.begin_transaction() as t:
                    store = db.new_btree("s", t)
                    store.add(sop.Item(1, ""))
                proxy.freeze()
                t = session.begin_transaction()
                store.in_transaction(t).add(sop.Item(2, ""))
                pending = t.commit_later()
                start = time.monotonic()
            assert time.monotonic() - start < 10
            with pytest.raises(sop.SopError):
                pending.result(sop.Context(timeout=0.5))


def test_closed_database_refuses_what_its_session_is_asked(server):
    db = server.database("closed-under-a-session", patience=60.0)
    session = db.session()
    with session.begin_transaction() as t:
        db.new_btree("s", t)
    db.close()
    for _ in range(3):
        with pytest.raises(sop.UnavailableError):
            session.begin_transaction()
    session.close()


def test_timeout_of_a_context_reaches_the_server(session, store):
    t = session.begin_transaction()
    with pytest.raises(sop.DeadlineExceededError):
        store.in_transaction(t).count(sop.Context(timeout=1e-9))
    t.rollback()


def test_commit_that_was_not_waited_for_can_be_asked_for_again(db, session, store):
    t = session.begin_transaction()
    store.in_transaction(t).add(sop.Item(1, "kept"))
    pending = t.commit_later()
    with pytest.raises(sop.CancelledError):
        ctx = sop.Context()
        ctx.cancel()
        pending.result(ctx)
    t.commit()
    assert t.commit_version == pending.result() != b""
    assert read(db)[1] == "kept"


def test_commits_outlive_a_kill_or_are_told_to_be_unknown():
    with sop.testing.server() as server, server.database() as db:
        with db.begin_transaction() as t:
            store = db.new_btree("s", t)
            store.add(sop.Item(-1, ""))
        session = db.session()
        commits = []
        killer = threading.Timer(0.1, server.kill)
        try:
            for number in range(100_000):
                if number == 200:
                    commits[0].result()
                    killer.start()
                t = session.begin_transaction()
                store.in_transaction(t).add(sop.Item(number, ""))
                commits.append(t.commit_later())
        except (sop.UnavailableError, sop.TransactionLostError):
            pass
        killer.join()
        server.start()
        done, unknown = set(), set()
        for number, each in enumerate(commits):
            try:
                each.result()
                done.add(number)
            except sop.UnavailableError as error:
                assert error.metadata["outcome"] == "unknown"
                unknown.add(number)
            except (sop.AbortedError, sop.NotFoundError):
                pass
        session.close()
        there = set(read(db)) - {-1}
        assert done and done <= there
        assert there - done <= unknown


def test_increments_count_once_though_the_connection_is_cut(server):
    with CuttingProxy(server.address) as proxy:
        options = sop.DatabaseOptions(name="cut", address=proxy.address, patience=30.0)
        with sop.Database(options) as db, db.session() as session:
            with db.begin_transaction() as t:
                store = db.new_btree("s", t)
                store.add(sop.Item("n", 0))
            stop, done = threading.Event(), []

            def increment(t):
                mine = store.in_transaction(t)
                assert mine.find("n")
                mine.update_current_value(mine.get_current_value() + 1)

            def count():
                while not stop.is_set():
                    session.run(increment, timeout=60.0)
                    done.append(1)

            with ThreadPoolExecutor(3) as pool:
                counts = [pool.submit(count) for _ in range(3)]
                cuts = 0
                while (cuts < 8 or len(done) < 20) and not any(each.done() for each in counts):
                    stop.wait(0.2)
                    proxy.cut()
                    cuts += 1
                stop.set()
                for each in counts:
                    each.result()
            assert read(db) == {"n": len(done)}
