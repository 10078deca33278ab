"""Databases: where stores live, and where transactions begin."""

from __future__ import annotations

import uuid
from dataclasses import replace
from types import TracebackType
from typing import Any, Awaitable, Callable, Optional, TypeVar, Union

from sop.aio.btree import Btree
from sop.aio.connection import Connection, known, make_lock, started
from sop.aio.link import UnaryLink, of_another_database
from sop.aio.repeating import run_repeatedly
from sop.aio.session import Session
from sop.aio.transaction import Transaction
from sop.aio.watch import Watch
from sop.calls import default_address, make_request_id
from sop.context import Context, takes_context
from sop.decoding import ItemDecoder
from sop.errors import InvalidArgumentError, SopError, UnimplementedError
from sop.keys import IndexLike, IndexSpecification, types_of_class
from sop.options import (
    BtreeOptions,
    DatabaseOptions,
    DatabaseType,
    KeyRange,
    RedisCacheConfig,
    TransactionMode,
    TransactionOptions,
    options_in_mode,
    watch_request,
)
from sop.v1 import btree_pb2, database_pb2, types_pb2

__all__ = ["Database", "DatabaseOptions", "DatabaseType", "RedisCacheConfig"]

T = TypeVar("T")


class Database:
    """A database on a server. Confined to one event loop, whose tasks share it, each with its
    own transactions.

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
        self._lock = make_lock()
        self._description: Optional[database_pb2.Database] = None

    @property
    def name(self) -> str:
        """The name that the server knows it by."""
        return known(self._description, self._describe).name

    @property
    def id(self) -> str:
        """The UUID kept in its folder."""
        return str(uuid.UUID(bytes=known(self._description, self._describe).uuid))

    @property
    def address(self) -> str:
        """The server's address."""
        return self._connection.address

    @takes_context
    async def connect(self) -> "Database":
        """Asks the server now: opens the database, or makes it."""
        await self._describe()
        return self

    @takes_context
    async def close(self) -> None:
        """Closes the connection. Transactions still open end by the server's idle limit."""
        await self._connection.close()

    async def __aenter__(self) -> "Database":
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()

    @takes_context
    def begin_transaction(
        self,
        mode: Union[TransactionMode, int, None] = None,
        options: Optional[TransactionOptions] = None,
    ) -> Transaction:
        """Begins a transaction, whose snapshot is the newest commit. Use it in an `async with`
        block: leaving commits, an exception rolls back.

        A mode that is given goes before that of `options`; without either it is a writer. A
        Context limits the begin and what leaving the block does, not the calls in between.
        """
        chosen = options_in_mode(options, mode)
        return started(Transaction(UnaryLink(self._connection, self._get_name), chosen))

    @takes_context
    async def run(
        self,
        function: Callable[[Transaction], Awaitable[T]],
        timeout: float = 30.0,
        options: Optional[TransactionOptions] = None,
    ) -> T:
        """Runs `function` in a transaction and commits it; repeats all of it, with growing pauses,
        while it is aborted or the server cannot be reached, for at most `timeout` seconds.

        Exactly once in effect: what was not committed is run again, what was sent for commit is
        only asked about. So `function` must change nothing but the database.
        """
        chosen = options or TransactionOptions()

        def begin() -> Transaction:
            return Transaction(UnaryLink(self._connection, self._get_name), chosen)

        return await run_repeatedly(begin, function, timeout)

    @takes_context
    def session(self) -> Session:
        """A stream to the server on which transactions are pipelined: see Session."""
        return Session(self._connection, self._get_name)

    @takes_context
    async def new_btree(
        self,
        name: str,
        transaction: Transaction,
        options: Optional[BtreeOptions] = None,
        index_spec: Optional[IndexLike] = None,
        *,
        key_type: Optional[type] = None,
        value_type: Optional[type] = None,
    ) -> Btree[Any, Any]:
        """Creates a store, or opens it if the options that are given agree with it.

        `index_spec` is an IndexSpecification or what IndexSpecification.of() takes: a dataclass,
        whose annotations are then the types of the fields, too, a dict, or names of columns.
        With dataclasses as `key_type` and `value_type` keys and values come back as these: a field
        that one has not, and that has no default, is None; InvalidArgumentError if one has more.
        """
        request = btree_pb2.CreateBtreeRequest(store=name)
        chosen = options or BtreeOptions()
        if index_spec is not None:
            chosen = replace(chosen, index_specification=IndexSpecification.of(index_spec))
        if isinstance(index_spec, type) and not chosen.key_types:
            chosen = replace(chosen, key_types=types_of_class(index_spec))
        request.options.CopyFrom(chosen.to_message())
        store = (await self._in(transaction, "CreateBtree", request)).store
        return Btree(transaction, store, key_type, value_type)

    @takes_context
    async def open_btree(
        self,
        name: str,
        transaction: Transaction,
        *,
        key_type: Optional[type] = None,
        value_type: Optional[type] = None,
    ) -> Btree[Any, Any]:
        """Opens a store. StoreNotFoundError if there is none."""
        request = btree_pb2.OpenBtreeRequest(store=name)
        store = (await self._in(transaction, "OpenBtree", request)).store
        return Btree(transaction, store, key_type, value_type)

    @takes_context
    def watch(
        self,
        name: str,
        position: Optional[bytes] = None,
        *,
        within: Optional[KeyRange[Any]] = None,
        keys_only: bool = False,
        from_oldest: bool = False,
        follow: bool = True,
    ) -> Watch[Any, Any]:
        """Goes through the committed changes of a store, which was made with the option `feed`, in
        commit order: from `position` on, or with what is committed from now on, or, with
        `from_oldest`, with the oldest change that is kept.

        Every change comes once and none is missing, over breaks and restarts of the server. Not
        following, it ends when there is nothing more. See Watch; FeedOffError,
        PositionNotKeptError.
        """
        request = watch_request(name, position, within, keys_only)
        if from_oldest:
            request.start = btree_pb2.WATCH_START_OLDEST
        decoder = ItemDecoder(None, None)
        return Watch(self._connection, self._get_name, request, decoder, follow)

    @takes_context
    async def remove_btree(self, name: str, transaction: Optional[Transaction] = None) -> None:
        """Removes a store with everything in it: at once, or with the transaction's commit."""
        request = database_pb2.RemoveStoreRequest(store=name)
        if transaction is not None:
            await self._check_own(transaction)
            await transaction.queue_of(name).flush()
            await self._in(transaction, "RemoveStore", request)
            return
        request.database = await self._get_name()
        request.request_id = make_request_id()
        await self._connection.call_repeatedly("RemoveStore", request)

    @takes_context
    async def list_btrees(self, transaction: Optional[Transaction] = None) -> list[str]:
        """The names of all stores, in order."""
        names: list[str] = []
        request = database_pb2.ListStoresRequest(page_size=1000)
        request.database = await self._get_name()
        while True:
            if transaction is not None:
                answer = await self._in(transaction, "ListStores", request)
            else:
                answer = await self._connection.call_repeatedly("ListStores", request)
            names += [store.name for store in answer.stores if _is_btree(store)]
            if not answer.next_page_token:
                return names
            request.page_token = answer.next_page_token

    @takes_context
    async def delete(self) -> None:
        """Deletes the database with everything in it. Not undoable."""
        described = await self._describe()
        request = database_pb2.DeleteDatabaseRequest(
            database=described.name, expected_uuid=described.uuid
        )
        await self._connection.call("DeleteDatabase", request)
        async with self._lock:
            self._description = None

    @takes_context
    async def open_vector_store(self, transaction: Transaction, name: str) -> Any:
        """Vector stores are not in this release: UnimplementedError."""
        raise _not_yet("vector", name)

    @takes_context
    async def open_model_store(self, transaction: Transaction, name: str) -> Any:
        """Model stores are not in this release: UnimplementedError."""
        raise _not_yet("model", name)

    @takes_context
    async def open_search(self, name: str, transaction: Transaction) -> Any:
        """Text search is not in this release: UnimplementedError."""
        raise _not_yet("search", name)

    async def _describe(self) -> database_pb2.Database:
        async with self._lock:
            if self._description is None:
                redis = self.options.redis_config
                request = database_pb2.CreateDatabaseRequest(
                    name=self.options.name,
                    stores_folders=self._folders,
                    keyspace=self.options.keyspace,
                    type=self.options.type.value,
                    redis_url=redis.url if redis else "",
                )
                answer = await self._connection.call_repeatedly("CreateDatabase", request)
                self._description = answer.database
            return self._description

    async def _get_name(self) -> str:
        return (await self._describe()).name

    async def _in(self, transaction: Transaction, rpc: str, request: Any) -> Any:
        """Calls a method for a store in a transaction of this database."""
        await self._check_own(transaction)
        transaction.check_usable()
        return await transaction.link.call(rpc, request)

    async def _check_own(self, transaction: Transaction) -> None:
        """InvalidArgumentError for what is no transaction of this database."""
        if not isinstance(transaction, Transaction):
            raise InvalidArgumentError(
                f"expected the transaction, not {type(transaction).__name__}"
            )
        link = transaction.link
        if link.connection is not self._connection:
            if not link.is_of(self.address, await self._get_name()):
                raise of_another_database(link)


def _is_btree(store: types_pb2.Store) -> bool:
    return store.kind == types_pb2.STORE_KIND_BTREE


def _not_yet(kind: str, name: str) -> SopError:
    return UnimplementedError(
        f"{kind} stores are not in this release", metadata={"store": name, "kind": kind}
    )
