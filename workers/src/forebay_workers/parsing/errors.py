"""Why a document gives no text. All are the document's own doing, so none is worth a retry.

ParsingError
├── DocumentUnparseable     the bytes are not what the MIME type says
├── DocumentEmpty           nothing to read, as in a scanned PDF
├── DocumentTextTooLarge    the text is over the limit, as from a decompression bomb
├── DocumentTooManyChunks   the text falls into more pieces than are indexed
└── DocumentParserTimeout   the parser was stopped: out of time, processor time or memory
"""

from typing import ClassVar

from google.rpc.code_pb2 import Code

from forebay.errors.v1 import ErrorReason


class ParsingError(Exception):
    """A document without text.

    `code` is a google.rpc.Code, `metadata` goes into google.rpc.ErrorInfo.
    """

    code: ClassVar[int] = Code.INVALID_ARGUMENT
    reason: ClassVar["ErrorReason.ValueType"] = ErrorReason.ERROR_REASON_DOCUMENT_UNPARSEABLE

    def __init__(self, message: str, metadata: dict[str, str] | None = None) -> None:
        """Take a message without any of the document's text."""
        super().__init__(message)
        self.metadata = metadata or {}


class DocumentUnparseable(ParsingError):
    """The bytes are not what the MIME type says, or the type has no parser."""

    reason = ErrorReason.ERROR_REASON_DOCUMENT_UNPARSEABLE

    def __init__(self, mime_type: str, detail: str = "the content is damaged") -> None:
        """Say what is wrong in the terms of the format."""
        super().__init__(f"cannot be read as {mime_type}: {detail}", {"mime_type": mime_type})
        self.mime_type = mime_type
        self.detail = detail


class DocumentEmpty(ParsingError):
    """There is no visible character in the document."""

    reason = ErrorReason.ERROR_REASON_DOCUMENT_EMPTY

    def __init__(self) -> None:
        """Need nothing."""
        super().__init__("the document holds no text")


class DocumentTextTooLarge(ParsingError):
    """The text taken out is over the limit, in UTF-8 bytes."""

    reason = ErrorReason.ERROR_REASON_DOCUMENT_TEXT_TOO_LARGE

    def __init__(self, limit_bytes: int) -> None:
        """Name the limit."""
        super().__init__(
            f"the document's text is over {limit_bytes} bytes", {"limit_bytes": str(limit_bytes)}
        )
        self.limit_bytes = limit_bytes


class DocumentTooManyChunks(ParsingError):
    """The text falls into more pieces than are indexed, as where there is a heading per word."""

    reason = ErrorReason.ERROR_REASON_DOCUMENT_TEXT_TOO_LARGE

    def __init__(self, limit_chunks: int) -> None:
        """Name the limit."""
        super().__init__(
            f"the document's text falls into more than {limit_chunks} chunks",
            {"limit_chunks": str(limit_chunks)},
        )
        self.limit_chunks = limit_chunks


class DocumentParserTimeout(ParsingError):
    """The parser was stopped before it was done."""

    reason = ErrorReason.ERROR_REASON_DOCUMENT_PARSER_TIMEOUT

    def __init__(self) -> None:
        """Need nothing: which limit it was depends on the machine, not on the document alone."""
        super().__init__("the document takes too much time or memory to read")
