"""Watches against a live server: order, resumption, ranges, ends, limits; both faces."""

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest
from cut_connections import CuttingProxy

import sop
import sop.aio
from sop.testing import server as private_server

FEED = sop.BtreeOptions(feed=True)


def make(db, name="s", options=FEED):
    with db.begin_transaction() as t:
        db.new_btree(name, t, options)


def put(db, *items, name="s"):
    with db.begin_transaction() as t:
        db.open_btree(name, t).upsert([sop.Item(*item) for item in items])


def remove(db, *keys, name="s"):
    with db.begin_transaction() as t:
        db.open_btree(name, t).remove(list(keys))


def told(watch):
    """What a watch tells, as (letter, key, value)."""
    letters = {"Added": "+", "Updated": "*", "Removed": "-", "KeyUpdated": "~", "StoreRemoved": "!"}
    return [
        (letters[c.kind.name], c.item and c.item.key, c.item and c.item.value) for c in watch
    ]


def test_changes_come_in_commit_order_with_all_that_is_known_of_them(db):
    make(db)
    put(db, ("b", 2), ("a", 1))
    put(db, ("a", "one"))
    remove(db, "b")
    before = time.time()
    changes = list(db.watch("s", from_oldest=True, follow=False))
    assert [(c.kind.name, c.item.key, c.item.value, c.ordinal) for c in changes] == [
        ("Added", "a", 1, 0),
        ("Added", "b", 2, 1),
        ("Updated", "a", "one", 0),
        ("Removed", "b", None, 0),
    ]
    first, second, third, fourth = changes
    assert first.version == second.version < third.version < fourth.version
    assert (first.previous_version, third.previous_version) == (0, first.version)
    assert fourth.previous_version == second.version
    assert abs(third.commit_time.timestamp() - before) < 60
    assert not any(c.value_left_out for c in changes)
    keys = list(db.watch("s", from_oldest=True, follow=False, keys_only=True))
    assert [(c.item.key, c.item.value) for c in keys] == [(k, None) for k in "abab"]


def test_every_position_goes_on_behind_its_change(db):
    make(db)
    put(db, *((f"{i:03}", "x" * 2000) for i in range(200)))
    put(db, ("last", ""))
    changes = list(db.watch("s", from_oldest=True, follow=False))
    assert len(changes) == 201
    for number in (0, 1, 31, 32, 33, 100, 199, 200):
        rest = list(db.watch("s", changes[number].position, follow=False))
        assert rest == changes[number + 1 :]


def test_from_now_on_nothing_of_before_is_told(db):
    make(db)
    put(db, ("old", 1))
    watch = db.watch("s", follow=False)
    assert told(watch) == [] and watch.position
    put(db, ("new", 2))
    assert told(db.watch("s", watch.position, follow=False)) == [("+", "new", 2)]


def test_ranges_and_prefixes(db):
    make(db)
    put(db, ("a1", 1), ("a2", 2), ("b1", 3), ("c1", 4))
    remove(db, "a2", "c1")

    def within(chosen):
        return told(db.watch("s", from_oldest=True, follow=False, within=chosen))

    assert within(sop.KeyRange(prefix="a")) == [("+", "a1", 1), ("+", "a2", 2), ("-", "a2", None)]
    assert within(sop.KeyRange("b", "c")) == [("+", "b1", 3)]
    assert within(sop.KeyRange("d")) == []
    with pytest.raises(sop.KeyTypeDiffersError):
        within(sop.KeyRange(begin=5))


def test_fields_that_ride_on_and_equal_keys(db):
    with db.begin_transaction() as t:
        index = sop.IndexSpecification([sop.IndexFieldSpecification("name")])
        store = db.new_btree("s", t, sop.BtreeOptions(feed=True, is_unique=False), index)
        store.add([sop.Item({"name": "x", "seen": 1}, "1"), sop.Item({"name": "x", "seen": 1}, "2")])
    with db.begin_transaction() as t:
        store = db.open_btree("s", t)
        ids = [item.id for item in store.items()]
        store.update_key(sop.Item({"name": "x", "seen": 2}, id=ids[1]))
    changes = list(db.watch("s", from_oldest=True, follow=False))
    assert [(c.kind.name, c.item.key["seen"], c.item.id) for c in changes] == [
        ("Added", 1, ids[0]),
        ("Added", 1, ids[1]),
        ("KeyUpdated", 2, ids[1]),
    ]


def test_it_follows_while_others_write(db):
    make(db)
    with db.begin_transaction(sop.ForReading) as t:
        watch = db.open_btree("s", t).watch(from_oldest=True)
    seen = []

    def follow():
        for change in watch:
            seen.append(change.item.key)
            if change.item.key == "end":
                return

    follower = threading.Thread(target=follow)
    follower.start()
    for i in range(100):
        put(db, (f"{i:03}", i))
    put(db, ("end", ""))
    follower.join(30)
    assert seen == [f"{i:03}" for i in range(100)] + ["end"]


def test_the_end_of_a_store_is_told_also_to_who_was_away(db):
    make(db)
    watch = db.watch("s", follow=False)
    assert told(watch) == []
    put(db, ("a", 1))
    db.remove_btree("s")
    make(db)
    put(db, ("other", 2))
    assert told(db.watch("s", watch.position)) == [("+", "a", 1), ("!", None, None)]
    assert told(db.watch("s", from_oldest=True, follow=False)) == [("+", "other", 2)]


def test_what_cannot_be_watched_is_refused_with_its_reason(db, server):
    make(db)
    make(db, "silent", sop.BtreeOptions())
    watch = db.watch("s", follow=False)
    assert told(watch) == []
    with pytest.raises(sop.FeedOffError):
        list(db.watch("silent"))
    with pytest.raises(sop.StoreNotFoundError):
        list(db.watch("none"))
    with pytest.raises(sop.InvalidArgumentError, match="position"):
        list(db.watch("s", b"no position"))
    with pytest.raises(sop.PositionNotKeptError):
        list(db.watch("silent", watch.position))
    with server.database(f"{db.name}-other") as other:
        make(other)
        with pytest.raises(sop.PositionNotKeptError, match="database"):
            list(other.watch("s", watch.position))
    with pytest.raises(sop.OptionsDifferError):
        make(db, "s", sop.BtreeOptions(feed=False))
    with db.begin_transaction(sop.ForReading) as t:
        assert db.open_btree("s", t).get_store_info().feed is True


def test_large_values_and_large_commits(db):
    make(db)
    put(db, ("large", "v" * 60_000))
    with db.begin_transaction() as t:
        store = db.open_btree("s", t)
        store.add([sop.Item(f"{i:06}", i) for i in range(30_000)])
    changes = list(db.watch("s", from_oldest=True, follow=False))
    assert len(changes) == 30_001 and len(changes[0].item.value) == 60_000
    assert [c.item.value for c in changes[1:]] == list(range(30_000))
    assert {c.version for c in changes[1:]} == {changes[1].version}


def test_deleting_a_database_ends_its_watches(server):
    db = server.database("doomed", patience=0.1)
    make(db)
    watch = db.watch("s")
    failure = []

    def follow():
        try:
            list(watch)
        except sop.SopError as error:
            failure.append(error)

    follower = threading.Thread(target=follow)
    follower.start()
    while not watch.position:
        time.sleep(0.01)
    db.delete()
    follower.join(30)
    assert len(failure) == 1


def test_over_a_restart_and_its_drain_nothing_is_missed():
    with private_server() as server:
        db = server.database(patience=30.0)
        make(db)
        seen = []
        watch = db.watch("s", from_oldest=True)

        def follow():
            for change in watch:
                seen.append(change.item.key)
                if change.item.key == "end":
                    return

        follower = threading.Thread(target=follow)
        follower.start()
        put(db, ("1", ""))
        while not seen:
            time.sleep(0.01)
        start = time.monotonic()
        assert server.stop() == 0
        # A watch does not hold up the drain, of 10 s.
        assert time.monotonic() - start < 8
        server.start()
        put(db, ("2", ""))
        server.kill()
        server.start()
        put(db, ("end", ""))
        follower.join(30)
        assert seen == ["1", "2", "end"]


def test_what_is_no_longer_kept_is_told_and_not_left_out():
    with private_server(["--feed-bytes", "1MiB"]) as server:
        db = server.database()
        make(db)
        watch = db.watch("s", follow=False)
        assert told(watch) == []
        for turn in range(60):
            put(db, *((f"{i:02}", os.urandom(500).hex()) for i in range(50)))
        with pytest.raises(sop.PositionNotKeptError, match="no longer kept"):
            list(db.watch("s", watch.position, follow=False))
        kept = list(db.watch("s", from_oldest=True, follow=False))
        assert 900 < len(kept) < 2000 and kept[-1].item.key == "49"


def test_a_reader_that_does_not_read_costs_the_server_little():
    with private_server() as server:
        db = server.database()
        make(db)
        put(db, ("0", ""))
        watches = [iter(db.watch("s", from_oldest=True)) for _ in range(50)]
        for watch in watches:
            next(watch)
        before = resident(server.pid)
        for turn in range(100):
            put(db, *((f"{turn:03}-{i:02}", os.urandom(1000).hex()) for i in range(100)))
        # 20 MB of changes for each of 50 watches.
        assert resident(server.pid) - before < 200 << 20
        for watch in watches[:3]:
            assert sum(1 for _ in zip(range(10_000), watch)) == 10_000
        for watch in watches:
            watch.close()


def resident(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_a_network_that_goes_away_without_a_word_is_noticed(server, monkeypatch):
    quick = ("grpc.keepalive_time_ms", "grpc.keepalive_timeout_ms", "grpc.http2.ping_timeout_ms")
    options = [
        (name, 1000 if name in quick else value) for name, value in sop.calls.CHANNEL_OPTIONS
    ]
    monkeypatch.setattr(sop.connection, "CHANNEL_OPTIONS", options)
    with CuttingProxy(server.address) as proxy:
        frozen = sop.DatabaseOptions(name="frozen", address=proxy.address, patience=30.0)
        with server.database("frozen") as db, sop.Database(frozen) as behind:
            make(db)
            seen = []

            def follow():
                for change in watch:
                    seen.append(change.item.key)
                    return

            watch = behind.watch("s")
            threading.Thread(target=follow, daemon=True).start()
            while not watch.position:
                time.sleep(0.01)
            proxy.freeze()
            put(db, ("1", ""))
            end = time.monotonic() + 30
            while not seen and time.monotonic() < end:
                time.sleep(0.05)
            assert seen == ["1"]


def test_a_closed_database_ends_its_watches(server):
    db = server.database("closed", patience=60.0)
    make(db)
    watch = db.watch("s")
    failures = []

    def follow():
        try:
            list(watch)
        except sop.SopError as error:
            failures.append(type(error))

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    while not watch.position:
        time.sleep(0.01)
    db.close()
    follower.join(10)
    assert failures == [sop.UnavailableError]


def test_a_closed_database_ends_its_watches_in_asyncio(server):
    async def run():
        options = sop.DatabaseOptions(name="aio-closed", address=server.address, patience=60.0)
        db = sop.aio.Database(options)
        async with db.begin_transaction() as t:
            await db.new_btree("s", t, FEED)
        watch = db.watch("s")

        async def follow():
            async for _ in watch:
                pass

        task = asyncio.create_task(follow())
        while not watch.position:
            await asyncio.sleep(0.01)
        await db.close()
        with pytest.raises(sop.UnavailableError):
            await asyncio.wait_for(task, 10)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_in_asyncio_as_well(server):
    async def run():
        options = sop.DatabaseOptions(name="aio-watch", address=server.address)
        async with sop.aio.Database(options) as db:
            async with db.begin_transaction() as t:
                store = await db.new_btree("s", t, FEED)
                await store.add([sop.Item(i, i * i) for i in range(10)])
            watch = store.watch(from_oldest=True)
            squares = []
            async for change in watch:
                squares.append(change.item.value)
                if len(squares) == 10:
                    break
            assert squares == [i * i for i in range(10)]
            rest = db.watch("s", watch.position, follow=False)
            assert [change async for change in rest] == []

            async def follow():
                async for change in db.watch("s", watch.position):
                    return change.item.key

            task = asyncio.create_task(follow())
            await asyncio.sleep(0.2)
            async with db.begin_transaction() as t:
                await (await db.open_btree("s", t)).upsert(sop.Item(77, ""))
            assert await asyncio.wait_for(task, 30) == 77

    asyncio.run(asyncio.wait_for(run(), 60))

