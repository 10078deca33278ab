"""sop.aio: many tasks write to one store, and one reads it."""

import asyncio

import sop
import sop.aio


async def write(db: sop.aio.Database, sensor: int) -> None:
    async def readings(t: sop.aio.Transaction) -> None:
        store = await db.open_btree("readings", t)
        for hour in range(24):
            await store.upsert(sop.Item({"sensor": sensor, "hour": hour}, sensor + hour / 24))

    await db.run(readings)


async def main() -> None:
    async with sop.aio.Database(sop.DatabaseOptions(name="examples")) as db:
        async with db.begin_transaction() as t:
            await db.new_btree("readings", t, index_spec="sensor,hour")
        await asyncio.gather(*(write(db, sensor) for sensor in range(5)))
        async with db.begin_transaction(sop.ForReading) as t:
            store = await db.open_btree("readings", t)
            print(await store.count(), "readings")
            noon = [i.value async for i in store if i.key["hour"] == 12]
            print(noon)

            # A write answers when it is awaited; until then it is collected.
        async with db.begin_transaction() as t:
            store = await db.open_btree("readings", t)
            added = await store.add(sop.Item({"sensor": 0, "hour": 0}, 0.0))
            print("added" if await added else "already there")


asyncio.run(main())
