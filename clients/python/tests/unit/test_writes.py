"""What the client sends when: batches, looks at results, failures."""

import grpc
import numpy as np
import pytest
from scripted_server import Failure, key_of, serve

import sop
from sop import pages
from sop.key_codec import encode_scalar
from sop.scalars import to_key, to_value
from sop.v1 import types_pb2


@pytest.fixture
def scripted():
    with serve() as (script, address):
        with sop.Database(sop.DatabaseOptions(address=address, patience=5.0)) as db:
            yield script, db


def test_thousand_adds_cost_one_request(scripted):
    script, db = scripted
    with db.begin_transaction() as t:
        store = db.new_btree("users", t)
        for i in range(1000):
            store.add(sop.Item(key=f"user_{i}", value="x"))
    assert script.calls == {
        "CreateDatabase": 1, "Begin": 1, "CreateBtree": 1, "Add": 1, "Commit": 1
    }
    assert len(script.stores["users"]) == 1000


def test_batches_are_bounded_by_items_and_bytes(scripted):
    script, db = scripted
    with db.begin_transaction() as t:
        small = db.new_btree("small", t)
        large = db.new_btree("large", t)
        for i in range(2500):
            small.add(sop.Item(i, ""))
        for i in range(100):
            large.add(sop.Item(i, b"x" * 60_000))
    sizes = [r.ByteSize() for rpc, r in script.requests if rpc == "Add"]
    assert max(sizes) < 4 << 20
    counts = [(r.store, len(r.items)) for rpc, r in script.requests if rpc == "Add"]
    assert sorted(n for s, n in counts if s == "small") == [500, 1000, 1000]
    assert 6 <= len([n for s, n in counts if s == "large"]) <= 8
    assert len(script.stores["large"]) == 100


def test_writes_to_two_stores_do_not_break_batches(scripted):
    script, db = scripted
    with db.begin_transaction() as t:
        left, right = db.new_btree("left", t), db.new_btree("right", t)
        for i in range(100):
            left.add(sop.Item(i, "l"))
            right.add(sop.Item(i, "r"))
    assert script.calls["Add"] == 2


def test_kinds_keep_their_order(scripted):
    script, db = scripted
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        results = [
            store.add(sop.Item(1, "a")),
            store.remove(1),
            store.add(sop.Item(1, "b")),
            store.add(sop.Item(1, "c")),
        ]
        assert results == [True, True, True, False]
    assert [rpc for rpc, _ in script.requests if rpc in ("Add", "Remove")] == [
        "Add", "Remove", "Add"
    ]


def test_reads_send_the_writes_of_their_store_only(scripted):
    script, db = scripted
    with db.begin_transaction() as t:
        left, right = db.new_btree("left", t), db.new_btree("right", t)
        left.add(sop.Item(1, "l"))
        right.add(sop.Item(1, "r"))
        assert left.find(1)
        assert script.calls["Add"] == 1
        assert right.count() == 1
        assert script.calls["Add"] == 2


def test_result_is_a_boolean_once_looked_at(scripted):
    script, db = scripted
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        first = store.add(sop.Item(1, "a"))
        again = store.add(sop.Item(1, "b"))
        assert "not sent" in repr(first)
        assert script.calls["Add"] == 0
        assert first and first == True and not again  # noqa: E712
        assert again == False and first != again  # noqa: E712
        assert (str(first), str(again)) == ("True", "False")
        assert again.outcomes == ["ALREADY_THERE"]
        assert script.calls["Add"] == 1
        many = store.add([sop.Item(2, ""), sop.Item(1, "")])
        assert many == False  # noqa: E712
        assert many.outcomes == ["ADDED", "ALREADY_THERE"]


def test_unseen_outcomes_counts_what_nobody_looked_at(scripted):
    _, db = scripted
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        for key in (1, 1, 1, 2):
            store.add(sop.Item(key, ""))
        looked_at = store.add(sop.Item(2, ""))
        store.remove(99)
        assert not looked_at
    assert t.unseen_outcomes == 3


def test_look_at_the_failed_write_itself_leaves_the_transaction_usable(scripted):
    script, db = scripted
    script.bad_keys.add(key_of(to_key("bad")))
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        for i in range(10):
            store.add(sop.Item(i, ""))
        with pytest.raises(sop.KeyTypeDiffersError):
            bool(store.add(sop.Item("bad", "")))
        store.add(sop.Item(10, ""))
    assert len(script.stores["s"]) == 11
    assert sum(script.committed.values()) == 1


@pytest.mark.parametrize("bad", [sop.Item(object(), ""), sop.Item("s", object()), "no item"])
def test_what_comes_before_one_that_is_refused_here_is_added(scripted, bad):
    script, db = scripted
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        with pytest.raises(sop.InvalidArgumentError):
            store.add([sop.Item(n, "") for n in range(1500)] + [bad, sop.Item(9999, "")])
        with pytest.raises(sop.InvalidArgumentError):
            store.remove([0, object(), 1])
    assert len(script.stores["s"]) == 1499
    assert key_of(to_key(0)) not in script.stores["s"] and key_of(to_key(1)) in script.stores["s"]


LOST_ANSWER = Failure(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", after_work=True)


@pytest.mark.parametrize(
    "write",
    [
        lambda store: bool(store.add(sop.Item(1, ""))),
        lambda store: store.add_arrays(np.arange(5), np.zeros(5)),
    ],
    ids=["looked at", "page"],
)
def test_write_whose_effect_is_unknown_leaves_nothing_but_a_rollback(scripted, write):
    script, db = scripted
    script.schema.shape = types_pb2.KEY_SHAPE_SCALAR
    script.schema.fields.add(type=types_pb2.SCALAR_TYPE_INT64, index_position=0)
    script.fail("Add", LOST_ANSWER)
    with pytest.raises(sop.UnavailableError):
        with db.begin_transaction() as t:
            store = db.new_btree("s", t)
            with pytest.raises(sop.UnavailableError):
                write(store)
    assert (script.calls["Commit"], script.calls["Rollback"]) == (0, 1)


def test_reads_see_what_pages_added(scripted):
    script, db = scripted
    script.schema.shape = types_pb2.KEY_SHAPE_SCALAR
    script.schema.fields.add(type=types_pb2.SCALAR_TYPE_INT64, index_position=0)
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        stored = types_pb2.WriteItem(key=to_key(1), value=to_value("old"))
        script.stores["s"] = {key_of(to_key(1)): stored}
        assert store.find(1) and store.get_current_value() == "old"
        assert script.calls["Seek"] == 1
        store.add_arrays(np.arange(5), ["other"] * 5)
        assert store.get_current_value() == "old"
        assert script.calls["Seek"] == 2, "what was read before may have changed"


def test_failure_that_nobody_looked_at_raises_at_the_end_and_rolls_back(scripted):
    script, db = scripted
    script.bad_keys.add(key_of(to_key("bad")))
    with pytest.raises(sop.KeyTypeDiffersError):
        with db.begin_transaction() as t:
            store = db.new_btree("s", t)
            store.add(sop.Item("bad", ""))
            store.add(sop.Item(1, ""))
    assert script.calls["Rollback"] == 1
    assert not script.committed


def test_swallowed_failure_still_rolls_back(scripted):
    script, db = scripted
    script.bad_keys.add(key_of(to_key("bad")))
    with pytest.raises(sop.KeyTypeDiffersError):
        with db.begin_transaction() as t:
            store = db.new_btree("s", t)
            store.add(sop.Item("bad", ""))
            later = store.add(sop.Item(1, ""))
            for look in (lambda: store.count(), lambda: bool(later), lambda: store.first()):
                with pytest.raises(sop.KeyTypeDiffersError):
                    look()
    assert script.calls["Commit"] == 0


def test_exception_of_the_block_propagates_and_rolls_back(scripted):
    script, db = scripted
    with pytest.raises(ZeroDivisionError):
        with db.begin_transaction() as t:
            db.new_btree("s", t).add(sop.Item(1, ""))
            1 / 0
    assert script.calls["Add"] == 0
    assert script.calls["Rollback"] == 1
    assert not script.committed


def test_too_large_messages_are_split_and_nobody_sees_it(scripted):
    script, db = scripted
    script.max_items = 100
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        assert store.add([sop.Item(i, str(i)) for i in range(1000)])
        assert [item.value for item in store.get_values(list(range(1000)))] == [
            str(i) for i in range(1000)
        ]
    assert len(script.stores["s"]) == 1000


def test_overloaded_waits_as_told_and_repeats(scripted):
    script, db = scripted
    overloaded = Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_seconds=0.05)
    for rpc in ("Begin", "Add", "Seek", "Commit"):
        script.fail(rpc, overloaded)
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        store.add(sop.Item(1, "x"))
        assert store.find(1)
    assert script.calls["Add"] == 2
    assert sum(script.committed.values()) == 1


def test_ended_transaction_refuses(scripted):
    _, db = scripted
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
    for call in (lambda: store.add(sop.Item(1, "")), lambda: store.count(), lambda: t.commit()):
        with pytest.raises(sop.TransactionEndedError):
            call()
    with pytest.raises(sop.TransactionEndedError):
        t.rollback()


def test_context_may_be_given_or_left_out(scripted):
    _, db = scripted
    ctx = sop.Context()
    for first in ([], [ctx]):
        with db.begin_transaction(*first) as t:
            store = db.new_btree(*first, "s", t)
            store.add(*first, sop.Item(1, "x"))
            assert store.find(*first, 1)
            assert store.get_current_item(*first).value == "x"
            assert store.count(*first) == 1
    with db.begin_transaction(ctx=ctx) as t:
        assert db.new_btree("s", t, ctx=ctx).find(key=1, ctx=ctx)
    ctx.cancel()
    with pytest.raises(sop.CancelledError):
        db.begin_transaction(ctx)


def test_writes_that_a_cancelled_context_kept_back_are_sent_later(scripted):
    script, db = scripted
    ctx = sop.Context()
    ctx.cancel()
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        for i in range(999):
            store.add(sop.Item(i, ""))
        with pytest.raises(sop.CancelledError):
            store.add(ctx, sop.Item(999, ""))
    assert len(script.stores["s"]) == 1000
    assert sum(script.committed.values()) == 1


def test_values_that_a_page_leaves_out_are_fetched(scripted):
    script, db = scripted
    script.schema.shape = types_pb2.KEY_SHAPE_SCALAR
    script.schema.fields.add(type=types_pb2.SCALAR_TYPE_INT64, index_position=0)
    small = pages.PackedItem(key=encode_scalar(1), value=b"small", format=1)
    large = pages.PackedItem(key=encode_scalar(2), flags=pages.VALUE_LEFT_OUT)
    script.page = pages.build_page(pages.KEYS | pages.VALUES, [small, large])
    encoded = types_pb2.Key(encoded=types_pb2.EncodedKey(key=encode_scalar(2)))
    stored = types_pb2.WriteItem(key=to_key(2), value=to_value(b"large"))
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        script.stores["s"] = {key_of(key): stored for key in (to_key(2), encoded)}
        assert [(i.key, i.value) for i in store] == [(1, b"small"), (2, b"large")]
        assert store.to_numpy().values.tolist() == [b"small", b"large"]
