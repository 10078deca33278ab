"""Exceptions by what the caller must do (the base class) and by reason (the class itself)."""

from __future__ import annotations

from typing import Any, Mapping, Optional

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "CancelledError",
    "ConflictError",
    "DataLossError",
    "DatabaseNotFoundError",
    "DeadlineExceededError",
    "DiskFullError",
    "FailedPreconditionError",
    "FeedOffError",
    "FieldMissingError",
    "FieldUnknownError",
    "FolderInUseError",
    "FolderNotAllowedError",
    "FormatNotSupportedError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidKeyError",
    "InvalidNameError",
    "InvalidValueError",
    "KeyExistsError",
    "KeyNotFoundError",
    "KeyTypeDiffersError",
    "LimitExceededError",
    "MessageTooLargeError",
    "MissingDependencyError",
    "NotFoundError",
    "OptionsDifferError",
    "OutcomeUnknownError",
    "OverloadedError",
    "PermissionDeniedError",
    "PositionNotKeptError",
    "PreconditionNotMetError",
    "ReadOnlyTransactionError",
    "ResourceExhaustedError",
    "SchemaDecidedError",
    "SopError",
    "StoreExistsError",
    "StoreNotFoundError",
    "StoreRemovedError",
    "TransactionEndedError",
    "TransactionExpiredError",
    "TransactionLostError",
    "TransactionNotFoundError",
    "TransactionPoisonedError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "WrongKindError",
]

_DETAILS = "grpc-status-details-bin"


class SopError(Exception):
    """A call failed.

    `code` is the grpc.StatusCode, `reason` the word of docs/errors.md, `metadata` what it is about
    (store, key, field, limit, ...), `retry_delay` the seconds to wait before repeating, if known.
    """

    default_code = grpc.StatusCode.UNKNOWN
    default_reason = "UNSPECIFIED"

    def __init__(
        self,
        message: str,
        *,
        code: Optional[grpc.StatusCode] = None,
        reason: Optional[str] = None,
        metadata: Optional[Mapping[str, str]] = None,
        retry_delay: Optional[float] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.reason = reason or self.default_reason
        self.metadata = dict(metadata or {})
        self.retry_delay = retry_delay

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class AbortedError(SopError):
    """Run the transaction again; Database.run does."""

    default_code = grpc.StatusCode.ABORTED


class ConflictError(AbortedError):
    """Another transaction changed what this one read; metadata names store and key."""

    default_reason = "CONFLICT"


class TransactionExpiredError(AbortedError):
    """The transaction was idle or open for too long."""

    default_reason = "TRANSACTION_EXPIRED"


class TransactionLostError(AbortedError):
    """The server was restarted, or the session ended; nothing of the transaction was committed."""

    default_reason = "TRANSACTION_LOST"


class StoreRemovedError(AbortedError):
    """The store was removed by another transaction."""

    default_reason = "STORE_REMOVED"


class SchemaDecidedError(AbortedError):
    """Another transaction created or typed the store otherwise."""

    default_reason = "SCHEMA_DECIDED"


class FailedPreconditionError(SopError):
    """Change something first."""

    default_code = grpc.StatusCode.FAILED_PRECONDITION


class TransactionEndedError(FailedPreconditionError):
    """The transaction was committed or rolled back: begin another."""

    default_reason = "TRANSACTION_ENDED"


class TransactionPoisonedError(FailedPreconditionError):
    """A request in the transaction failed: roll it back."""

    default_reason = "TRANSACTION_POISONED"


class ReadOnlyTransactionError(FailedPreconditionError):
    """A write in a transaction begun ForReading or NoCheck."""

    default_reason = "READ_ONLY_TRANSACTION"


class OptionsDifferError(FailedPreconditionError):
    """The store exists with other options; metadata names the first that differs."""

    default_reason = "OPTIONS_DIFFER"


class WrongKindError(FailedPreconditionError):
    """The name belongs to another kind of store."""

    default_reason = "WRONG_KIND"


class FolderNotAllowedError(FailedPreconditionError):
    """The folder is not under one of the server's --stores-root."""

    default_reason = "FOLDER_NOT_ALLOWED"


class OutcomeUnknownError(FailedPreconditionError):
    """The transaction is too old for the server to tell whether it was committed."""

    default_reason = "OUTCOME_UNKNOWN"


class PreconditionNotMetError(FailedPreconditionError):
    """An expected version or value differs: read again."""

    default_reason = "PRECONDITION_NOT_MET"


class FormatNotSupportedError(FailedPreconditionError):
    """The folder was written by a release with features that this server lacks."""

    default_reason = "FORMAT_NOT_SUPPORTED"


class FolderInUseError(FailedPreconditionError):
    """Another process holds the folder."""

    default_reason = "FOLDER_IN_USE"


class FeedOffError(FailedPreconditionError):
    """The store was made without the option `feed`: its changes cannot be watched."""

    default_reason = "FEED_OFF"


class PositionNotKeptError(FailedPreconditionError):
    """Changes behind the position are no longer kept. Read the store anew and watch from there."""

    default_reason = "POSITION_NOT_KEPT"


class InvalidArgumentError(SopError):
    """Fix the request; field, value and limit are named."""

    default_code = grpc.StatusCode.INVALID_ARGUMENT
    default_reason = "INVALID_ARGUMENT"


class InvalidNameError(InvalidArgumentError):
    """A name of a store, database or field that is not allowed."""

    default_reason = "INVALID_NAME"


class InvalidKeyError(InvalidArgumentError):
    """A key that cannot be stored."""

    default_reason = "INVALID_KEY"


class InvalidValueError(InvalidArgumentError):
    """A value that cannot be stored."""

    default_reason = "INVALID_VALUE"


class KeyTypeDiffersError(InvalidArgumentError):
    """A key or field of another type than the store's."""

    default_reason = "KEY_TYPE_DIFFERS"


class FieldMissingError(InvalidArgumentError):
    """A key without one of the indexed fields."""

    default_reason = "FIELD_MISSING"


class FieldUnknownError(InvalidArgumentError):
    """A key with a field that the store does not know."""

    default_reason = "FIELD_UNKNOWN"


class MessageTooLargeError(InvalidArgumentError):
    """A request over 4 MiB."""

    default_reason = "MESSAGE_TOO_LARGE"


class NotFoundError(SopError):
    """Something that was named is not there."""

    default_code = grpc.StatusCode.NOT_FOUND


class DatabaseNotFoundError(NotFoundError):
    """There is no such database."""

    default_reason = "DATABASE_NOT_FOUND"


class StoreNotFoundError(NotFoundError):
    """There is no such store."""

    default_reason = "STORE_NOT_FOUND"


class TransactionNotFoundError(NotFoundError):
    """The id is not one of this server's transactions."""

    default_reason = "TRANSACTION_NOT_FOUND"


class KeyNotFoundError(NotFoundError):
    """The key is not there."""

    default_reason = "KEY_NOT_FOUND"


class AlreadyExistsError(SopError):
    """Something is there already."""

    default_code = grpc.StatusCode.ALREADY_EXISTS


class KeyExistsError(AlreadyExistsError):
    """The key is there already."""

    default_reason = "KEY_EXISTS"


class StoreExistsError(AlreadyExistsError):
    """The store is there already."""

    default_reason = "STORE_EXISTS"


class ResourceExhaustedError(SopError):
    """The server lacks something, or a limit is reached."""

    default_code = grpc.StatusCode.RESOURCE_EXHAUSTED


class OverloadedError(ResourceExhaustedError):
    """Wait for `retry_delay` seconds, then repeat."""

    default_reason = "OVERLOADED"


class DiskFullError(ResourceExhaustedError):
    """The server's disk is full: only reads and removals are admitted."""

    default_reason = "DISK_FULL"


class LimitExceededError(ResourceExhaustedError):
    """Over a documented limit, which metadata names: make it smaller."""

    default_reason = "LIMIT_EXCEEDED"


class UnavailableError(SopError):
    """The server cannot be reached, or is stopping."""

    default_code = grpc.StatusCode.UNAVAILABLE
    default_reason = "UNAVAILABLE"


class DataLossError(SopError):
    """Bytes on the server's disk are damaged: restore or repair."""

    default_code = grpc.StatusCode.DATA_LOSS
    default_reason = "DAMAGED"


class UnimplementedError(SopError):
    """Not in this release."""

    default_code = grpc.StatusCode.UNIMPLEMENTED
    default_reason = "UNIMPLEMENTED"


class InternalError(SopError):
    """A bug of the server: report it."""

    default_code = grpc.StatusCode.INTERNAL
    default_reason = "INTERNAL"


class CancelledError(SopError):
    """The caller gave up."""

    default_code = grpc.StatusCode.CANCELLED
    default_reason = "CANCELLED"


class DeadlineExceededError(SopError):
    """The Context's time was over."""

    default_code = grpc.StatusCode.DEADLINE_EXCEEDED
    default_reason = "DEADLINE_EXCEEDED"


class PermissionDeniedError(SopError):
    """The caller may not do this."""

    default_code = grpc.StatusCode.PERMISSION_DENIED
    default_reason = "PERMISSION_DENIED"


class UnauthenticatedError(SopError):
    """The server wants to know who calls."""

    default_code = grpc.StatusCode.UNAUTHENTICATED
    default_reason = "UNAUTHENTICATED"


class MissingDependencyError(FailedPreconditionError, ImportError):
    """numpy or pandas is not installed: pip install sop-client[numpy] or sop-client[pandas]."""


def _tree(root: type[SopError]) -> list[type[SopError]]:
    return [root] + [each for child in root.__subclasses__() for each in _tree(child)]


_CLASSES = [cls for cls in _tree(SopError) if "default_reason" in vars(cls)]
BY_REASON: dict[str, type[SopError]] = {cls.default_reason: cls for cls in _CLASSES}
_BY_CODE: dict[grpc.StatusCode, type[SopError]] = {
    cls.default_code: cls for cls in _tree(SopError) if cls is SopError or cls.__base__ is SopError
}


def from_rpc_error(error: Any) -> SopError:
    """The exception for a grpc.RpcError: by reason, by code where the server gave none."""
    code: grpc.StatusCode = error.code()
    status = _status_of(error)
    status.message = status.message or error.details() or code.name.lower().replace("_", " ")
    return _made(status, code)


def has_reason(error: Any) -> bool:
    """Whether a grpc.RpcError carries what the server has to say of it."""
    return any(key == _DETAILS for key, _ in error.trailing_metadata() or ())


def from_status(status: status_pb2.Status) -> SopError:
    """The exception for a google.rpc.Status, which answers of a session carry."""
    by_number = {each.value[0]: each for each in grpc.StatusCode}
    return _made(status, by_number.get(status.code, grpc.StatusCode.UNKNOWN))


def copy_of(error: SopError) -> SopError:
    """The same failure for somebody else to raise."""
    return type(error)(
        error.message,
        code=error.code,
        reason=error.reason,
        metadata=error.metadata,
        retry_delay=error.retry_delay,
    )


def _made(status: status_pb2.Status, code: grpc.StatusCode) -> SopError:
    info = error_details_pb2.ErrorInfo()
    retry = error_details_pb2.RetryInfo()
    delay: Optional[float] = None
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(retry.DESCRIPTOR):
            detail.Unpack(retry)
            delay = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    cls = BY_REASON.get(info.reason) or _BY_CODE.get(code, SopError)
    reason = info.reason or None
    return cls(
        status.message, code=code, reason=reason, metadata=info.metadata, retry_delay=delay
    )


def _status_of(error: Any) -> status_pb2.Status:
    status = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS:
            try:
                status.ParseFromString(value)
            except DecodeError:
                pass
    return status
