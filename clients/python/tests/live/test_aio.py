"""sop.aio against a live server: the calls of the blocking face, awaited."""

import asyncio
import functools
import random

import pytest
from cut_connections import CuttingProxy

import sop
import sop.aio


@pytest.fixture
def options(server, request):
    return sop.DatabaseOptions(name=f"aio-{request.node.name}"[:100], address=server.address)


def awaited(test):
    """Runs a coroutine as a test."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return run


async def read(db, name):
    async with db.begin_transaction(sop.ForReading) as t:
        return {item.key: item.value async for item in await db.open_btree(name, t)}


@awaited
async def test_every_call_of_a_store(options):
    async with sop.aio.Database(options) as db, db.begin_transaction() as t:
        store = await db.new_btree("s", t, sop.BtreeOptions(description="words"))
        for key in range(10):
            await store.add(sop.Item(key, f"value {key}"))
        assert await (await store.add(sop.Item(3, ""))) is False
        assert await store.find(3) and await store.get_current_key() == 3
        assert await store.get_current_value() == "value 3"
        await store.update_current_value("three")
        assert (await store.get_current_item()).value == "three"
        assert await store.next() and await store.get_current_key() == 4
        assert await store.previous() and await store.previous()
        assert await store.get_current_key() == 2
        await store.remove_current_item()
        assert await store.last() and await store.first()
        page = await store.get_keys(sop.PagingInfo(page_size=4))
        assert [item.key for item in page] == [0, 1, 3, 4]
        assert [i.value for i in await store.get_items(sop.PagingInfo(page_size=1))] == ["value 5"]
        assert [i.value for i in await store.get_values([3, 99])] == ["three"]
        assert [i.key async for i in store.items(begin=6, keys_only=True)] == [6, 7, 8, 9]
        assert [len(p.items) async for p in store.pages(4)] == [4, 4, 1]
        assert await store.count(end=3) == 2 and store.is_unique()
        info = await store.get_store_info()
        assert (info.count, info.description) == (9, "words")
        assert (await store.to_numpy()).key.tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9]
        assert len(await store.to_pandas()) == 9
        assert await db.list_btrees(t) == ["s"]
        await store.upsert([sop.Item(3, "III"), sop.Item(20, "XX")])
        await store.update(sop.Item(4, "IV"))
        await store.add_if_not_exists(sop.Item(4, "no"))
        await store.remove([5, 6, 7, 8, 9])
    assert t.unseen_outcomes == 1
    async with sop.aio.Database(options) as db:
        assert await read(db, "s") == {0: "value 0", 1: "value 1", 3: "III", 4: "IV", 20: "XX"}
        await db.remove_btree("s")
        assert await db.list_btrees() == []
        await db.delete()


@awaited
async def test_a_result_is_a_boolean_once_it_was_awaited(options):
    async with sop.aio.Database(options) as db, db.begin_transaction() as t:
        store = await db.new_btree("s", t)
        added = await store.add(sop.Item(1, ""))
        assert "not sent" in repr(added)
        with pytest.raises(sop.InvalidArgumentError, match="await"):
            bool(added)
        assert await added is True
        assert added and added == True and added.outcomes == ["ADDED"]  # noqa: E712


@awaited
async def test_thousand_adds_are_one_batch(options):
    async with sop.aio.Database(options) as db:
        async with db.begin_transaction() as t:
            store = await db.new_btree("s", t)
            results = [await store.add(sop.Item(key, "")) for key in range(1000)]
            assert "not sent" in repr(results[-1])
        assert len(await read(db, "s")) == 1000


@awaited
async def test_exceptions_roll_back_and_bad_items_are_told_at_the_end(options):
    async with sop.aio.Database(options) as db:
        async with db.begin_transaction() as t:
            await (await db.new_btree("s", t)).add(sop.Item(1, ""))
        with pytest.raises(ZeroDivisionError):
            async with db.begin_transaction() as t:
                await (await db.open_btree("s", t)).remove(1)
                1 / 0
        with pytest.raises(sop.KeyTypeDiffersError):
            async with db.begin_transaction() as t:
                await (await db.open_btree("s", t)).add(sop.Item("text", ""))
        assert await read(db, "s") == {1: ""}


@awaited
async def test_begun_by_await_as_well(options):
    async with sop.aio.Database(options) as db:
        t = await db.begin_transaction()
        await (await db.new_btree("s", t)).add(sop.Item(1, ""))
        await t.commit()
        assert t.commit_version and not t.has_begun
        t = await db.begin_transaction()
        await t.rollback()
        with pytest.raises(sop.TransactionEndedError):
            await db.open_btree("s", t)


@awaited
async def test_name_and_id_are_known_after_connect(options):
    db = sop.aio.Database(options)
    with pytest.raises(sop.InvalidArgumentError, match="connect"):
        db.name
    assert await db.connect() is db
    assert db.name == options.name and len(db.id) == 36
    await db.close()
    with pytest.raises(sop.UnavailableError, match="closed"):
        await db.list_btrees()


@awaited
async def test_run_counts_every_increment_once(options):
    async with sop.aio.Database(options) as db:

        async def create(t):
            await (await db.new_btree("s", t)).add(sop.Item("n", 0))

        async def increment(t):
            store = await db.open_btree("s", t)
            assert await store.find("n")
            value = await store.get_current_value()
            await asyncio.sleep(random.random() / 1000)
            await store.update_current_value(value + 1)

        await db.run(create)
        await asyncio.gather(*(db.run(increment) for _ in range(40)))
        assert await read(db, "s") == {"n": 40}


@awaited
async def test_context_limits_and_cancels(options):
    async with sop.aio.Database(options) as db:
        ctx = sop.Context(timeout=30)
        async with db.begin_transaction(ctx) as t:
            store = await db.new_btree(ctx, "s", t)
            await store.add(ctx, sop.Item(1, ""))
            assert [item.key async for item in store.items(ctx)] == [1]
        ctx.cancel()
        with pytest.raises(sop.CancelledError):
            async with db.begin_transaction(ctx):
                pass
        async with db.begin_transaction(sop.ForReading) as t:
            store = await db.open_btree("s", t)
            with pytest.raises(sop.CancelledError):
                await store.count(ctx)
            assert await store.count() == 1


@awaited
async def test_a_cancelled_task_rolls_back(options):
    async with sop.aio.Database(options) as db:
        entered = asyncio.Event()

        async def write():
            async with db.begin_transaction() as t:
                await (await db.new_btree("s", t)).add(sop.Item(1, ""))
                entered.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(write())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await db.list_btrees() == []


@awaited
async def test_no_server_is_named_at_once():
    async with sop.aio.Database(sop.DatabaseOptions(address="127.0.0.1:1")) as db:
        with pytest.raises(sop.UnavailableError, match="127.0.0.1:1.*sopd running"):
            await db.begin_transaction()


@awaited
async def test_many_transactions_on_one_session(options):
    async with sop.aio.Database(options) as db, db.session() as session:
        async with session.begin_transaction() as t:
            store = await db.new_btree("s", t)
            await store.add(sop.Item(-1, ""))
        commits = []
        for number in range(1200):
            t = await session.begin_transaction()
            await store.in_transaction(t).add(sop.Item(number, ""))
            commits.append(await t.commit_later())
        versions = [await each.result() for each in commits]
        assert all(versions)
        assert list(await read(db, "s")) == list(range(-1, 1200))


@awaited
async def test_a_failure_in_a_session_ends_its_transaction_alone(options):
    async with sop.aio.Database(options) as db, db.session() as session:
        async with session.begin_transaction() as t:
            store = await db.new_btree("s", t)
            await store.add(sop.Item(1, ""))
        bad, good = await session.begin_transaction(), await session.begin_transaction()
        await store.in_transaction(bad).add(sop.Item("text", ""))
        await store.in_transaction(good).add(sop.Item(2, ""))
        pending = await bad.commit_later(), await good.commit_later()
        with pytest.raises(sop.KeyTypeDiffersError):
            await pending[0].result()
        assert await pending[1].result()
        assert await read(db, "s") == {1: "", 2: ""}
    with pytest.raises(sop.UnavailableError, match="closed"):
        await session.begin_transaction()


@awaited
async def test_leaving_a_session_waits_for_what_was_sent(options):
    async with sop.aio.Database(options) as db:
        async with db.begin_transaction() as t:
            store = await db.new_btree("s", t)
            await store.add(sop.Item(-1, ""))
        commits = []
        async with db.session() as session:
            for number in range(300):
                t = await session.begin_transaction()
                await store.in_transaction(t).add(sop.Item(number, "x" * 1000))
                commits.append(await t.commit_later())
            left_open = await session.begin_transaction()
            await store.in_transaction(left_open).add(sop.Item(1000, ""))
            await left_open.flush()
        assert all([await each.result() for each in commits])
        assert set(await read(db, "s")) == {*range(-1, 300)}
        with pytest.raises(sop.TransactionLostError):
            await left_open.commit()


@awaited
async def test_closed_database_refuses_what_its_session_is_asked(options):
    db = sop.aio.Database(options)
    session = db.session()
    async with session.begin_transaction() as t:
        store = await db.new_btree("s", t)
        await store.add(sop.Item(1, ""))
    t = await session.begin_transaction()
    await db.close()
    with pytest.raises(sop.SopError):
        await asyncio.wait_for(store.in_transaction(t).count(), 10)
    for _ in range(3):
        with pytest.raises(sop.UnavailableError):
            await session.begin_transaction()
    await session.close()


@awaited
async def test_a_task_that_gives_up_loses_no_write_of_a_session(options, monkeypatch):
    monkeypatch.setattr(sop.aio.streams, "MOST_REQUESTS", 1)
    async with sop.aio.Database(options) as db, db.session() as session:
        async with session.begin_transaction() as t:
            store = await db.new_btree("s", t)
            gone = 0
            for number in range(300):
                try:
                    await asyncio.wait_for(store.add([sop.Item(number, "")] * 1000), 0.0005)
                except asyncio.TimeoutError:
                    gone += 1
            assert gone
        assert list(await read(db, "s")) == list(range(300))


@awaited
async def test_increments_count_once_though_the_connection_is_cut(server):
    with CuttingProxy(server.address) as proxy:
        options = sop.DatabaseOptions(name="aio-cut", address=proxy.address, patience=30.0)
        async with sop.aio.Database(options) as db, db.session() as session:
            async with db.begin_transaction() as t:
                store = await db.new_btree("s", t)
                await store.add(sop.Item("n", 0))
            done = []
            is_over = asyncio.Event()

            async def increment(t):
                mine = store.in_transaction(t)
                assert await mine.find("n")
                await mine.update_current_value(await mine.get_current_value() + 1)

            async def count():
                while not is_over.is_set():
                    await session.run(increment, timeout=50.0)
                    done.append(1)

            counts = [asyncio.create_task(count()) for _ in range(3)]
            cuts = 0
            while (cuts < 6 or len(done) < 20) and not any(each.done() for each in counts):
                await asyncio.sleep(0.2)
                proxy.cut()
                cuts += 1
            is_over.set()
            await asyncio.gather(*counts)
            assert await read(db, "s") == {"n": len(done)}
