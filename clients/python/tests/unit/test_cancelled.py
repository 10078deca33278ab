"""Tasks of asyncio that are cancelled: no write is lost without a word."""

import asyncio

import grpc
import pytest
from scripted_server import Failure, serve

import sop
import sop.aio
from sop.aio.writes import WriteQueue
from sop.batch import Write, WriteKind
from sop.scalars import to_key
from sop.v1 import btree_pb2, types_pb2

OVERLOADED = Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_seconds=3.0)


@pytest.fixture
def scripted():
    with serve() as (script, address):
        yield script, sop.DatabaseOptions(address=address, patience=5.0)


async def gives_up(waiting, seconds=0.3):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(waiting, seconds)


@pytest.mark.parametrize("waits", [lambda store, _: store.count(), lambda _, t: t.flush()])
def test_writes_under_way_are_waited_for_again(scripted, waits):
    script, options = scripted

    async def main():
        async with sop.aio.Database(options) as db, db.begin_transaction() as t:
            store = await db.new_btree("s", t)
            first = await store.add([sop.Item(key, "") for key in range(10)])
            with script.lock:  # nothing is answered
                await gives_up(waits(store, t))
            assert await first
            await store.add(sop.Item(10, ""))
            assert await store.count() == 11

    asyncio.run(main())
    assert script.calls["Add"] == 2
    assert len(script.stores["s"]) == 11 and sum(script.committed.values()) == 1


def test_a_batch_given_up_between_its_repetitions_fails_the_transaction(scripted):
    script, options = scripted

    async def main():
        async with sop.aio.Database(options) as db:
            with pytest.raises(sop.CancelledError, match="rolled back"):
                async with db.begin_transaction() as t:
                    store = await db.new_btree("s", t)
                    lost = await store.add(sop.Item(1, ""))
                    script.fail("Add", OVERLOADED, OVERLOADED)
                    await gives_up(store.count())
                    await store.add(sop.Item(2, ""))
            with pytest.raises(sop.CancelledError):
                await lost

    asyncio.run(main())
    assert (script.calls["Commit"], script.calls["Rollback"]) == (0, 1)


def test_a_commit_given_up_while_it_sends_writes_rolls_back(scripted):
    script, options = scripted

    async def main():
        async with sop.aio.Database(options) as db:
            t = await db.begin_transaction()
            await (await db.new_btree("s", t)).add(sop.Item(1, ""))
            script.fail("Add", OVERLOADED, OVERLOADED)
            await gives_up(t.commit())
            with pytest.raises(sop.CancelledError):
                await t.commit()

    asyncio.run(main())
    assert (script.calls["Commit"], script.calls["Rollback"]) == (0, 1)


class FullLink:
    """Takes nothing until there is room."""

    batches_at_once = 4
    failure_poisons = True

    def __init__(self):
        self.room = asyncio.Event()
        self.taken = []

    async def start(self, rpc, request):
        await self.room.wait()
        self.taken += [item.key.int64_value for item in request.items]
        return len(request.items)

    async def finish(self, count):
        report = types_pb2.WriteReport(outcomes=[types_pb2.WRITE_OUTCOME_ADDED] * count)
        return btree_pb2.AddResponse(report=report)


class Owner:
    def __init__(self):
        self.link = FullLink()
        self.unseen = 0

    def check_usable(self):
        pass


def test_a_batch_that_waits_for_room_is_sent_later():
    async def main():
        owner = Owner()
        queue = WriteQueue(owner, "s")
        writes = [Write(WriteKind.ADD, types_pb2.WriteItem(key=to_key(n))) for n in range(1500)]
        await gives_up(queue.put(writes), 0.05)
        await gives_up(queue.flush(), 0.05)
        owner.link.room.set()
        await queue.flush()
        assert owner.link.taken == list(range(1500))
        assert all(write.is_good for write in writes)

    asyncio.run(main())
