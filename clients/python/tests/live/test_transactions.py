"""Isolation, conflicts, repetition, and servers that go away."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import sop


def make(db, name, items):
    with db.begin_transaction() as t:
        db.new_btree(name, t).add([sop.Item(k, v) for k, v in items.items()])


def read(db, name):
    with db.begin_transaction(sop.ForReading) as t:
        return {item.key: item.value for item in db.open_btree(name, t)}


def test_nothing_is_seen_before_commit(db):
    make(db, "s", {1: "a"})
    with db.begin_transaction() as t:
        store = db.open_btree("s", t)
        assert store.add(sop.Item(2, "b"))
        assert read(db, "s") == {1: "a"}
    assert read(db, "s") == {1: "a", 2: "b"}


def test_exception_rolls_back(db):
    make(db, "s", {1: "a"})
    with pytest.raises(ZeroDivisionError):
        with db.begin_transaction() as t:
            assert db.open_btree("s", t).remove(1)
            1 / 0
    assert read(db, "s") == {1: "a"}


def test_conflict_names_store_and_key(db):
    make(db, "accounts", {"ann": 1, "bob": 2})
    with pytest.raises(sop.ConflictError) as caught:
        with db.begin_transaction() as loser:
            store = db.open_btree("accounts", loser)
            assert store.find("ann")
            db.run(lambda t: db.open_btree("accounts", t).update(sop.Item("ann", 5)))
            store.update_current_value(6)
    assert caught.value.metadata["store"] == "accounts"
    assert "ann" in caught.value.metadata["key"]
    assert read(db, "accounts") == {"ann": 5, "bob": 2}


def test_phantom_is_a_conflict(db):
    make(db, "s", {1: "", 5: ""})
    with pytest.raises(sop.ConflictError):
        with db.begin_transaction() as t:
            store = db.open_btree("s", t)
            assert len(list(store.items(begin=1, end=6))) == 2
            db.run(lambda other: db.open_btree("s", other).add(sop.Item(3, "")))
            store.update(sop.Item(1, "seen"))
    assert read(db, "s")[1] == ""


def test_count_is_validated_by_its_value(db):
    make(db, "s", {1: ""})

    def add_and_remove(t):
        store = db.open_btree("s", t)
        store.add(sop.Item(2, ""))
        store.remove(2)

    with db.begin_transaction() as t:
        store = db.open_btree("s", t)
        assert store.count() == 1
        db.run(add_and_remove)
        store.update(sop.Item(1, "x"))
    assert read(db, "s") == {1: "x"}


@pytest.mark.parametrize("mode", [sop.ForReading, sop.NoCheck])
def test_reading_modes_refuse_writes(db, mode):
    make(db, "s", {1: "a"})
    with db.begin_transaction(mode) as t:
        store = db.open_btree("s", t)
        assert store.find(1)
        with pytest.raises(sop.ReadOnlyTransactionError):
            bool(store.add(sop.Item(2, "b")))
    assert read(db, "s") == {1: "a"}


def test_run_counts_every_increment_once(db):
    make(db, "s", {"n": 0})

    def increment(t):
        store = db.open_btree("s", t)
        assert store.find("n")
        store.update_current_value(store.get_current_value() + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: db.run(increment), range(80)))
    assert read(db, "s") == {"n": 80}


def test_transfers_keep_the_sum(db):
    make(db, "accounts", {i: 100 for i in range(10)})

    def transfer(n):
        def body(t):
            store = db.open_btree("accounts", t)
            for key, amount in ((n % 10, -7), ((n * 3 + 1) % 10, 7)):
                assert store.find(key)
                store.update_current_value(store.get_current_value() + amount)

        db.run(body)

    def total(t):
        return sum(item.value for item in db.open_btree("accounts", t))

    with ThreadPoolExecutor(6) as pool:
        transfers = [pool.submit(transfer, n) for n in range(60)]
        reader = sop.TransactionOptions(sop.ForReading)
        totals = [db.run(total, options=reader) for _ in range(20)]
        for each in transfers:
            each.result()
    assert set(totals) == {1000}
    assert sum(read(db, "accounts").values()) == 1000


def test_writers_create_one_store_at_once(db):
    gate = threading.Barrier(8, timeout=60)

    def create(n):
        with db.begin_transaction() as t:
            store = db.new_btree("fresh", t)
            store.add([sop.Item(n * 50 + i, n) for i in range(50)])
            gate.wait()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(8)))
    assert read(db, "fresh") == {n * 50 + i: n for n in range(8) for i in range(50)}


def test_first_commit_decides_the_type_of_keys(db):
    with db.begin_transaction() as t:
        db.new_btree("s", t)
    with pytest.raises(sop.SchemaDecidedError):
        with db.begin_transaction() as t:
            assert db.open_btree("s", t).add(sop.Item("text", ""))
            db.run(lambda other: db.open_btree("s", other).add(sop.Item(1, "")))
    assert read(db, "s") == {1: ""}


def test_store_created_otherwise_meanwhile_is_told(db):
    options = [sop.BtreeOptions(is_unique=unique) for unique in (True, False)]
    with pytest.raises(sop.SchemaDecidedError):
        with db.begin_transaction() as t:
            db.new_btree("s", t, options[0])
            db.run(lambda other: db.new_btree("s", other, options[1]))
    with db.begin_transaction() as t:
        assert not db.open_btree("s", t).is_unique()


def test_removed_store_aborts_its_writers(db):
    make(db, "s", {1: ""})
    with pytest.raises(sop.StoreRemovedError):
        with db.begin_transaction() as t:
            assert db.open_btree("s", t).add(sop.Item(2, ""))
            db.remove_btree("s")
    with pytest.raises(sop.StoreNotFoundError):
        read(db, "s")
    assert db.list_btrees() == []


def test_removal_in_a_transaction_comes_with_its_commit(db):
    make(db, "s", {1: ""})
    make(db, "kept", {1: ""})
    with db.begin_transaction() as t:
        db.remove_btree("s", t)
        assert db.list_btrees() == ["kept", "s"]
    assert db.list_btrees() == ["kept"]


def test_idle_transaction_expires(db):
    options = sop.TransactionOptions(idle_limit=0.05)
    make(db, "s", {1: ""})
    with pytest.raises((sop.TransactionExpiredError, sop.TransactionEndedError)):
        with db.begin_transaction(options=options) as t:
            store = db.open_btree("s", t)
            threading.Event().wait(1.0)
            store.add(sop.Item(2, ""))
    assert read(db, "s") == {1: ""}


def test_acknowledged_commits_survive_a_kill_and_run_goes_on():
    with sop.testing.server() as server:
        with server.database() as db:
            make(db, "s", {0: 0})
            acknowledged, stop = [], threading.Event()

            def write():
                n = 0
                while not stop.is_set():
                    n += 1
                    db.run(lambda t: db.open_btree("s", t).add(sop.Item(n, n)))
                    acknowledged.append(n)

            writer = threading.Thread(target=write)
            writer.start()
            for _ in range(3):
                stop.wait(0.4)
                server.kill()
                server.start()
            stop.wait(0.4)
            stop.set()
            writer.join()
            assert len(acknowledged) > 20
            assert set(read(db, "s")) == {0, *acknowledged}


def test_increments_count_once_though_the_server_is_killed():
    with sop.testing.server() as server:
        with server.database(patience=30.0) as db:
            make(db, "s", {n: 0 for n in range(4)})
            stop = threading.Event()

            def count(n):
                done = 0
                while not stop.is_set():
                    db.run(lambda t: increment(t, (n + done) % 4), timeout=60.0)
                    done += 1
                return done

            def increment(t, key):
                store = db.open_btree("s", t)
                assert store.find(key)
                store.update_current_value(store.get_current_value() + 1)

            with ThreadPoolExecutor(6) as pool:
                counts = [pool.submit(count, n) for n in range(6)]
                for _ in range(3):
                    stop.wait(0.5)
                    server.kill()
                    server.start()
                stop.wait(0.5)
                stop.set()
                total = sum(each.result() for each in counts)
            assert sum(read(db, "s").values()) == total > 50


def test_open_transaction_is_lost_with_its_server():
    with sop.testing.server() as server:
        with server.database() as db:
            make(db, "s", {1: ""})
            with pytest.raises((sop.TransactionLostError, sop.UnavailableError)):
                with db.begin_transaction() as t:
                    store = db.open_btree("s", t)
                    assert store.add(sop.Item(2, ""))
                    server.kill()
                    server.start()
                    store.add(sop.Item(3, ""))
            assert read(db, "s") == {1: ""}


def test_server_stops_in_order():
    with sop.testing.server() as server:
        with server.database() as db:
            make(db, "s", {1: "kept"})
        assert server.stop() == 0
        server.start()
        with server.database() as db:
            assert read(db, "s") == {1: "kept"}
