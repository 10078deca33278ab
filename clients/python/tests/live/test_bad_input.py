"""Bad input: each the typed error of the API, naming what is wrong."""

import pytest

import sop


@pytest.fixture
def store(db):
    with db.begin_transaction() as t:
        made = db.new_btree("s", t)
        made.add(sop.Item(1, ""))
        yield made


def refused(result_of, error):
    with pytest.raises(error) as caught:
        bool(result_of())
    return caught.value


def test_key_of_another_type(store):
    refused(lambda: store.add(sop.Item("text", "")), sop.KeyTypeDiffersError)
    refused(lambda: store.find(1.5), sop.KeyTypeDiffersError)
    refused(lambda: store.add(sop.Item({"a": 1}, "")), sop.InvalidArgumentError)
    assert store.count() == 1


def test_key_that_cannot_be(db, store):
    with db.begin_transaction() as t:
        floats = db.new_btree("floats", t)
        refused(lambda: floats.add(sop.Item(float("nan"), "")), sop.InvalidKeyError)
        texts = db.new_btree("texts", t)
        refused(lambda: texts.add(sop.Item("k" * 5000, "")), sop.InvalidArgumentError)
        assert texts.add(sop.Item("k" * 4000, ""))


def test_record_without_indexed_field(db):
    index = sop.IndexSpecification([sop.IndexFieldSpecification("id")])
    with db.begin_transaction() as t:
        store = db.new_btree("s", t, index_spec=index)
        error = refused(lambda: store.add(sop.Item({"other": 1}, "")), sop.FieldMissingError)
        assert error.metadata["field"] == "id"
        assert store.add(sop.Item({"id": 1}, ""))


def test_value_over_its_limit(store):
    refused(lambda: store.add(sop.Item(2, b"x" * ((64 << 20) + 1))), sop.InvalidValueError)
    refused(lambda: store.remove(1, b"x" * ((1 << 20) + 1)), sop.LimitExceededError)
    assert store.add(sop.Item(2, b"x" * (64 << 20)))


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\0b", "x" * 129, "back\\slash"])
def test_name_that_is_not_allowed(db, name):
    with db.begin_transaction() as t:
        with pytest.raises(sop.InvalidArgumentError):
            db.new_btree(name, t)
        db.new_btree("x" * 128, t)


def test_options_that_differ(db):
    with db.begin_transaction() as t:
        db.new_btree("s", t, sop.BtreeOptions(is_unique=False, slot_length=10))
    with db.begin_transaction() as t:
        assert not db.new_btree("s", t).is_unique()
        with pytest.raises(sop.OptionsDifferError) as caught:
            db.new_btree("s", t, sop.BtreeOptions(is_unique=True))
        assert "unique" in str(caught.value)


def test_unknown_store(db):
    with db.begin_transaction() as t:
        with pytest.raises(sop.StoreNotFoundError) as caught:
            db.open_btree("nothing", t)
        assert caught.value.metadata["store"] == "nothing"
    with pytest.raises(sop.StoreNotFoundError):
        db.remove_btree("nothing")


def test_folder_outside_of_the_roots(server):
    with server.database(stores_folders=["/etc/sop"]) as db:
        with pytest.raises(sop.FolderNotAllowedError):
            db.begin_transaction()


def test_what_comes_later_is_unimplemented(server, db):
    with db.begin_transaction() as t:
        for later in (
            lambda: db.open_vector_store(t, "v"),
            lambda: db.open_model_store(t, "m"),
            lambda: db.open_search("s", t),
        ):
            with pytest.raises(sop.UnimplementedError):
                later()
    tenant = sop.DatabaseOptions(
        keyspace="tenant_a",
        type=sop.DatabaseType.Clustered,
        redis_config=sop.RedisCacheConfig(url="redis://localhost:6379/0"),
        address=server.address,
    )
    with sop.Database(tenant) as clustered, pytest.raises(sop.UnimplementedError):
        clustered.begin_transaction()


def test_wrong_arguments_are_named(db):
    with db.begin_transaction() as t:
        store = db.new_btree("s", t)
        with pytest.raises(sop.InvalidArgumentError, match="sop.Item"):
            store.add("not an item")
        with pytest.raises(sop.InvalidArgumentError, match="transaction"):
            db.new_btree("s", "t")
        with pytest.raises(sop.InvalidArgumentError, match="cursor"):
            store.update_current_value("x")


def test_deleted_database_is_gone(server):
    with server.database("short-lived") as db:
        with db.begin_transaction() as t:
            db.new_btree("s", t).add(sop.Item(1, ""))
        db.delete()
        with db.begin_transaction() as t:
            with pytest.raises(sop.StoreNotFoundError):
                db.open_btree("s", t)
