"""What can go wrong in the storage.

StorageError
├── DatabaseUnavailable         UNAVAILABLE          try again later
│   └── StatementTimedOut       UNAVAILABLE          a transaction took longer than it may
├── ServingIndexMissing         UNAVAILABLE          nothing was registered yet
├── IndexWithdrawn              UNAVAILABLE          the pinned index is gone: pin the serving one
├── IndexStateConflict          FAILED_PRECONDITION  the index is not where this step starts
├── IndexTaken                  ALREADY_EXISTS       the id stands for another index
├── ServingIndexMismatch        FAILED_PRECONDITION  two embedding models want to serve
├── InvalidStoredText           INVALID_ARGUMENT     text that Postgres cannot hold
├── WrongDimensions             INVALID_ARGUMENT     a vector that does not fit its index
├── StorageMisconfigured        FAILED_PRECONDITION  roles, extension or migrations unfit
│   └── MigrationChanged        FAILED_PRECONDITION  an applied migration has other text now
└── StorageDefect               INTERNAL             the driver refused what this package sent
"""

from typing import ClassVar

from google.rpc.code_pb2 import Code

from forebay.errors.v1 import ErrorReason


class StorageError(Exception):
    """Any failure of the storage. Its text is safe to show to operators and names no content."""

    code: ClassVar[int] = Code.INTERNAL
    reason: ClassVar[ErrorReason.ValueType] = ErrorReason.ERROR_REASON_INTERNAL
    transient: ClassVar[bool] = False


class DatabaseUnavailable(StorageError):
    """Postgres refuses connections, is shutting down, or broke the connection."""

    code = Code.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_INDEX_UNAVAILABLE
    transient = True


class StatementTimedOut(DatabaseUnavailable):
    """A statement, a lock or a whole transaction took longer than allowed.

    Others may be served meanwhile. Where Postgres is away, the next call is told so.
    """


class ServingIndexMissing(StorageError):
    """No index serves yet: no embedding worker has registered one."""

    code = Code.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_INDEX_UNAVAILABLE
    transient = True

    def __init__(self) -> None:
        super().__init__("No index is serving.")


class IndexWithdrawn(StorageError):
    """The index is not in a state that this operation needs; whoever pinned it reads it anew."""

    code = Code.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_INDEX_UNAVAILABLE
    transient = True

    def __init__(self, index_id: str, state: str | None) -> None:
        super().__init__(f"Index {index_id} is {state or 'unknown'}.")
        self.index_id = index_id
        self.state = state


class IndexStateConflict(StorageError):
    """A step in the life of an index was asked for in a state that it does not start from."""

    code = Code.FAILED_PRECONDITION

    def __init__(self, index_id: str, state: str, step: str) -> None:
        super().__init__(f"Index {index_id} is {state} and cannot be {step}.")
        self.index_id = index_id
        self.state = state


class IndexTaken(StorageError):
    """An index was to be created under an id that another one has."""

    code = Code.ALREADY_EXISTS

    def __init__(self, index_id: str, content: str) -> None:
        super().__init__(f"Index {index_id} exists and holds {content}.")
        self.index_id = index_id


class ServingIndexMismatch(StorageError):
    """A writer came with another embedding model or chunking than the serving index has."""

    code = Code.FAILED_PRECONDITION

    def __init__(self, *, serving: str, wanted: str) -> None:
        super().__init__(
            f"The serving index holds {serving}, this writer makes {wanted}: "
            "create an index for it and promote it."
        )
        self.serving = serving
        self.wanted = wanted


class InvalidStoredText(StorageError):
    """A NUL character or half a surrogate pair: no UTF-8 text of Postgres holds it."""

    code = Code.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_FIELD_INVALID

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} holds a NUL character or an unpaired surrogate.")
        self.field = field


class WrongDimensions(StorageError):
    """A vector has another length than its index."""

    code = Code.INVALID_ARGUMENT

    def __init__(self, *, index_id: str, expected: int, found: int) -> None:
        super().__init__(f"Index {index_id} holds {expected} dimensions, the vector has {found}.")
        self.expected = expected
        self.found = found


class StorageMisconfigured(StorageError):
    """Roles, extension or migrations are not what this release needs."""

    code = Code.FAILED_PRECONDITION


class MigrationChanged(StorageMisconfigured):
    """A migration was edited after it had been applied."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Migration {name} was applied with other text than this release has.")
        self.name = name


class StorageDefect(StorageError):
    """The driver or the database refused a statement: a defect here, or content it cannot take."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__(f"The database refused a statement (SQLSTATE {sqlstate or 'unknown'}).")
        self.sqlstate = sqlstate
