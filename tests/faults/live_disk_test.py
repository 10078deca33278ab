"""A real server whose disk fails or is full: live_disk_test.py SOPD FAILING_CALLS_LIBRARY.

1. A sync of the log fails: nothing is acknowledged, the outcome of the commit is unknown, the server ends by
   itself, and when it is started again everything acknowledged is there and the commit's outcome is known.
2. The disk is full: writes are refused as DISK_FULL, reads and removals go on, and writes are taken
   again when space returns, without a restart.

The last line is `N passed, N failed`.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import sop
from sop.testing import Server

LONGEST_WAIT_SECONDS = 30.0


def wait_for_end(pid: int) -> int:
    """The exit code of a server that ends by itself."""
    end = time.monotonic() + LONGEST_WAIT_SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    raise AssertionError("the server goes on after a failed sync")


def fill(database: sop.Database, first: int, last: int) -> None:
    with database.begin_transaction() as transaction:
        store = database.new_btree("numbers", transaction)
        store.add([sop.Item(i, f"value {i}") for i in range(first, last)])


def keys(database: sop.Database) -> set[int]:
    with database.begin_transaction(mode=sop.ForReading) as transaction:
        return {item.key for item in database.open_btree("numbers", transaction).items()}


def commits_at_last(transaction: sop.Transaction) -> bool:
    """Whether the commit whose outcome was unknown has taken effect, as a repetition says."""
    end = time.monotonic() + LONGEST_WAIT_SECONDS
    while True:
        try:
            transaction.commit()
            return True
        except sop.UnavailableError:
            assert time.monotonic() < end, "the outcome stays unknown"
        except sop.TransactionLostError:
            return False


def failed_sync(server: Server, order: Path) -> None:
    database = server.database(patience=0.5)
    fill(database, 0, 100)
    transaction = database.begin_transaction()
    database.open_btree("numbers", transaction).add([sop.Item(i, "late") for i in range(100, 200)])
    transaction.flush()
    order.write_text("S")
    try:
        transaction.commit()
    except sop.UnavailableError as error:
        print(f"a failed sync: {type(error).__name__}: {error}")
        assert error.metadata["outcome"] == "unknown", error.metadata
    else:
        raise AssertionError("acknowledged after a failed sync")
    code = wait_for_end(server.pid)
    assert code not in (0, None), f"exit code {code}"
    order.unlink()
    server.start()
    committed = commits_at_last(transaction)
    database = server.database(patience=20.0)
    found = keys(database)
    # What was not acknowledged is there whole or not at all, and its commit says which.
    assert found == set(range(200 if committed else 100)), f"{len(found)} keys, {committed}"
    fill(database, 200, 300)
    assert keys(database) >= set(range(100)) | set(range(200, 300))


def full_disk(server: Server, order: Path) -> None:
    database = server.database(patience=5.0)
    before = keys(database)
    order.write_text("F")
    time.sleep(1.5)  # until it measures again
    try:
        fill(database, 1000, 1100)
    except sop.SopError as error:
        assert error.reason == "DISK_FULL", error
        print(f"a full disk: {type(error).__name__}: {error}")
    else:
        raise AssertionError("written to a full disk")
    assert keys(database) == before, "reads go on"
    with database.begin_transaction() as transaction:
        assert database.open_btree("numbers", transaction).remove(0), "removals go on"
    order.unlink()
    time.sleep(1.5)
    fill(database, 1000, 1100)
    assert keys(database) == before - {0} | set(range(1000, 1100))


def main(sopd: str, library: str) -> int:
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="sop-disk-") as folder:
        order = Path(folder) / "order"
        start = Path(folder) / "sopd"
        start.write_text(
            f'#!/bin/sh\nLD_PRELOAD="{library}" SOP_FAILING_CALLS="{order}" exec "{sopd}" "$@"\n'
        )
        start.chmod(0o755)
        os.environ["SOP_SOPD"] = str(start)
        server = Server(Path(folder) / "server")
        server.start()
        for case in (failed_sync, full_disk):
            try:
                case(server, order)
                passed += 1
            except Exception as error:  # noqa: BLE001: reported as the failure that it is
                failed += 1
                print(f"{case.__name__}: {error!r}\nthe end of the log:\n{server.log()[-2000:]}")
                break
        server.stop()
    print(f"counter live_disk_cases {passed}\n{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
