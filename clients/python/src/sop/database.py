"""Databases: where stores live, and where transactions begin."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Callable, Optional, Sequence, TypeVar, Union

from sop.btree import Btree
from sop.connection import Backoff, Connection, default_address, make_request_id
from sop.context import Context, takes_context
from sop.errors import AbortedError, InvalidArgumentError, SopError, UnavailableError
from sop.errors import UnimplementedError
from sop.options import BtreeOptions, IndexSpecification
from sop.transaction import Transaction, TransactionMode, TransactionOptions
from sop.v1 import btree_pb2, database_pb2, types_pb2

T = TypeVar("T")


class DatabaseType(Enum):
    """Who coordinates several servers, if any. Clustered is not in this release of the server."""

    Standalone = database_pb2.DATABASE_TYPE_STANDALONE
    Clustered = database_pb2.DATABASE_TYPE_CLUSTERED


@dataclass
class RedisCacheConfig:
    """The coordinator of a Clustered database: redis://HOST:PORT/DB."""

    url: str = ""


@dataclass
class DatabaseOptions:
    """Which database, on which server.

    `stores_folders` names where the *server* keeps it; `address` is the server's, by default
    SOP_ADDRESS, else localhost:7373. Without folder, name and keyspace it is `default`.
    `patience` is how many seconds a lost connection is tried anew.
    """

    stores_folders: Sequence[str] = field(default_factory=list)
    type: DatabaseType = DatabaseType.Standalone
    keyspace: str = ""
    redis_config: Optional[RedisCacheConfig] = None
    name: str = ""
    address: Optional[str] = None
    patience: float = 15.0


class Database:
    """A database on a server. Thread-safe: threads share it, each with its own transactions.

    Database(DatabaseOptions(...)) or Database(ctx, storage_path="..."). The server is asked on
    first use; a database that does not exist is then made.
    """

    def __init__(
        self, *given: Union[Context, DatabaseOptions, None], storage_path: str = "", **more: Any
    ) -> None:
        chosen = [each for each in given if isinstance(each, DatabaseOptions)]
        unknown = [each for each in given if not isinstance(each, (Context, DatabaseOptions))]
        more.pop("ctx", None)
        if "options" in more:
            chosen.append(more.pop("options"))
        if len(chosen) > 1 or (chosen and more) or any(each is not None for each in unknown):
            raise InvalidArgumentError("Database takes a Context and one DatabaseOptions")
        self.options = chosen[0] if chosen else DatabaseOptions(**more)
        self._folders = list(self.options.stores_folders) or [storage_path] * bool(storage_path)
        self._connection = Connection(
            self.options.address or default_address(), self.options.patience
        )
        self._lock = threading.Lock()
        self._description: Optional[database_pb2.Database] = None

    @property
    def name(self) -> str:
        """The name that the server knows it by."""
        return self._describe().name

    @property
    def id(self) -> str:
        """The UUID kept in its folder."""
        return str(uuid.UUID(bytes=self._describe().uuid))

    @property
    def address(self) -> str:
        """The server's address."""
        return self._connection.address

    def close(self) -> None:
        """Closes the connection. Transactions still open end by the server's idle limit."""
        self._connection.close()

    def __enter__(self) -> "Database":
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    @takes_context
    def begin_transaction(
        self,
        mode: Union[TransactionMode, int] = TransactionMode.ForWriting,
        options: Optional[TransactionOptions] = None,
    ) -> Transaction:
        """Begins a transaction, whose snapshot is the newest commit. Use it in a `with` block:
        leaving commits, an exception rolls back.
        """
        chosen = options or TransactionOptions(TransactionMode(mode))
        return Transaction(self._connection, self.name, chosen)

    @takes_context
    def run(
        self,
        function: Callable[[Transaction], T],
        timeout: float = 30.0,
        options: Optional[TransactionOptions] = None,
    ) -> T:
        """Runs `function` in a transaction and commits it; repeats all of it, with growing pauses,
        while it is aborted or the server cannot be reached, for at most `timeout` seconds.

        Exactly once in effect: what was not committed is run again, what was sent for commit is
        only asked about. So `function` must change nothing but the database.
        """
        backoff = Backoff(timeout)
        while True:
            transaction: Optional[Transaction] = None
            try:
                transaction = Transaction(
                    self._connection, self.name, options or TransactionOptions()
                )
                result = function(transaction)
                if transaction.has_begun:
                    transaction.commit()
                return result
            except (AbortedError, UnavailableError) as error:
                may_have_happened = error.metadata.get("outcome") == "unknown"
                if transaction is not None and transaction.has_begun:
                    transaction.rollback()
                if may_have_happened or not backoff.wait():
                    raise
            except BaseException:
                if transaction is not None and transaction.has_begun:
                    transaction.rollback()
                raise

    @takes_context
    def new_btree(
        self,
        name: str,
        transaction: Transaction,
        options: Optional[BtreeOptions] = None,
        index_spec: Optional[IndexSpecification] = None,
        *,
        key_type: Optional[type] = None,
        value_type: Optional[type] = None,
    ) -> Btree[Any, Any]:
        """Creates a store, or opens it if the options that are given agree with it.

        With dataclasses as `key_type` and `value_type` keys and values come back as these.
        """
        request = btree_pb2.CreateBtreeRequest(
            store=name, options=(options or BtreeOptions()).to_message()
        )
        if index_spec is not None:
            request.options.index.CopyFrom(index_spec.to_message())
        store = self._in(transaction, self._connection.btrees.CreateBtree, request).store
        return Btree(transaction, store, key_type, value_type)

    @takes_context
    def open_btree(
        self,
        name: str,
        transaction: Transaction,
        *,
        key_type: Optional[type] = None,
        value_type: Optional[type] = None,
    ) -> Btree[Any, Any]:
        """Opens a store. StoreNotFoundError if there is none."""
        request = btree_pb2.OpenBtreeRequest(store=name)
        store = self._in(transaction, self._connection.btrees.OpenBtree, request).store
        return Btree(transaction, store, key_type, value_type)

    @takes_context
    def remove_btree(self, name: str, transaction: Optional[Transaction] = None) -> None:
        """Removes a store with everything in it: at once, or with the transaction's commit."""
        request = database_pb2.RemoveStoreRequest(store=name)
        method = self._connection.databases.RemoveStore
        if transaction is not None:
            transaction.queue_of(name).flush()
            self._in(transaction, method, request)
            return
        request.database = self.name
        request.request_id = make_request_id()
        self._connection.call_repeatedly(method, request)

    @takes_context
    def list_btrees(self, transaction: Optional[Transaction] = None) -> list[str]:
        """The names of all stores, in order."""
        names: list[str] = []
        request = database_pb2.ListStoresRequest(database=self.name, page_size=1000)
        if transaction is not None:
            request.transaction_id = transaction.token
        while True:
            answer = self._connection.call_repeatedly(
                self._connection.databases.ListStores, request
            )
            names += [store.name for store in answer.stores if _is_btree(store)]
            if not answer.next_page_token:
                return names
            request.page_token = answer.next_page_token

    @takes_context
    def delete(self) -> None:
        """Deletes the database with everything in it. Not undoable."""
        described = self._describe()
        request = database_pb2.DeleteDatabaseRequest(
            database=described.name, expected_uuid=described.uuid
        )
        self._connection.call(self._connection.databases.DeleteDatabase, request)
        with self._lock:
            self._description = None

    @takes_context
    def open_vector_store(self, transaction: Transaction, name: str) -> Any:
        """Vector stores are not in this release: UnimplementedError."""
        raise _not_yet("vector", name)

    @takes_context
    def open_model_store(self, transaction: Transaction, name: str) -> Any:
        """Model stores are not in this release: UnimplementedError."""
        raise _not_yet("model", name)

    @takes_context
    def open_search(self, name: str, transaction: Transaction) -> Any:
        """Text search is not in this release: UnimplementedError."""
        raise _not_yet("search", name)

    def _describe(self) -> database_pb2.Database:
        with self._lock:
            if self._description is None:
                redis = self.options.redis_config
                request = database_pb2.CreateDatabaseRequest(
                    name=self.options.name,
                    stores_folders=self._folders,
                    keyspace=self.options.keyspace,
                    type=self.options.type.value,
                    redis_url=redis.url if redis else "",
                )
                method = self._connection.databases.CreateDatabase
                self._description = self._connection.call_repeatedly(method, request).database
            return self._description

    def _in(self, transaction: Transaction, method: Any, request: Any) -> Any:
        """Calls a method for a store in a transaction of this database."""
        if not isinstance(transaction, Transaction):
            raise InvalidArgumentError(
                f"expected the transaction, not {type(transaction).__name__}"
            )
        transaction.check_usable()
        request.database = transaction.database_name
        request.transaction_id = transaction.token
        return self._connection.call(method, request)


def _is_btree(store: types_pb2.Store) -> bool:
    return store.kind == types_pb2.STORE_KIND_BTREE


def _not_yet(kind: str, name: str) -> SopError:
    return UnimplementedError(
        f"{kind} stores are not in this release", metadata={"store": name, "kind": kind}
    )
