"""Records of answers, written in generation's place and as it would."""

from dataclasses import dataclass

from forebay.policy.v1 import Visibility
from forebay.query.v1 import AnswerEvent
from forebay.records.v1 import AnswerRecord, QueryRecord
from forebay_benchmarks.stand import TENANT, Stand
from forebay_kafka.envelope import EnvelopeSigner, Statement
from forebay_kafka.envelope_keys import signing_keys
from forebay_kafka.identity import GenerationLimits, Identity
from forebay_kafka.records import record_type
from forebay_kafka.topics import IDENTITY_HEADER, RECORD_TYPE_HEADER

TEXT = "The weir of the forebay is inspected every Monday. "
_ATTEMPT = "a" * 32
_KEY_FILE = "envelope-key.json"


@dataclass(frozen=True)
class Answer:
    """A query that waits for its answer, and the envelope of its records."""

    query: str
    envelope: bytes

    def record(self, sequence: int) -> bytes:
        """The record that opens the attempt (sequence 1), or a delta of it."""
        event = AnswerEvent(query=self.query, attempt=_ATTEMPT, sequence=sequence)
        if sequence == 1:
            event.restarted.reason = "a faster hand"
        else:
            event.delta.text = TEXT
        event.time.GetCurrentTime()
        return AnswerRecord(event=event).SerializeToString()

    def headers(self) -> list[tuple[str, str | bytes | None]]:
        """The headers of its records."""
        return [
            (RECORD_TYPE_HEADER, record_type(AnswerRecord).encode()),
            (IDENTITY_HEADER, self.envelope),
        ]


class AnswerSigner:
    """Signs as the edge does, of whom the stand's token is."""

    def __init__(self, stand: Stand) -> None:
        """Take over the edge's key."""
        keys = (stand.system.state.secrets / _KEY_FILE).read_text()
        self._signer = EnvelopeSigner(signing_keys(keys))
        self._identity = Identity(
            issuer=stand.system.issuer.issuer_url,
            tenant=TENANT,
            subject="bench",
            tier="enterprise",
            clearance=Visibility.VISIBILITY_CONFIDENTIAL,
            groups=(),
            limits=GenerationLimits("", 1024, 4096),
            policy_version="bench",
        )

    def answer(self, query: str) -> Answer:
        """The answer to a query."""
        statement = Statement(query)
        envelope = self._signer.seal(self._identity, record_type(QueryRecord), b"", statement)
        return Answer(query, envelope)
