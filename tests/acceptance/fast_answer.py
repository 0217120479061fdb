"""An answer written to the log faster than any model writes: in generation's place, as it would."""

import asyncio
import time
from collections.abc import Sequence
from uuid import uuid4

from google.protobuf.message import Message

from forebay.policy.v1 import Visibility
from forebay.query.v1 import AnswerEvent
from forebay.records.v1 import AnswerRecord, QueryRecord
from forebay_kafka.envelope import EnvelopeSigner, Statement
from forebay_kafka.envelope_keys import signing_keys
from forebay_kafka.identity import GenerationLimits, Identity
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import record_type
from forebay_kafka.settings import KafkaSettings
from forebay_standalone.system import System


async def write_answer(
    system: System, query: str, asker: tuple[str, str], texts: Sequence[str]
) -> None:
    """Open an attempt at a query of `(tenant, subject)`, write its deltas, and complete it."""
    steps: list[dict[str, Message]] = [
        {"restarted": AnswerEvent.Restarted(reason="a faster hand")},
        *(dict[str, Message](delta=AnswerEvent.Delta(text=text)) for text in texts),
        {
            "completed": AnswerEvent.Completed(
                answer="".join(texts), finish_reason=AnswerEvent.Completed.FINISH_REASON_STOP
            )
        },
    ]
    token, attempt = envelope(system, query, asker), uuid4().hex
    options: dict[str, str | int | bool] = {**system.kafka_login()}
    settings = KafkaSettings(bootstrap_servers=system.addresses.kafka, options=options)
    async with Publisher(settings) as publisher:
        writing = [
            publisher.publish(
                record_of(query, attempt, sequence, step), key=query, identity_token=token
            )
            for sequence, step in enumerate(steps, start=1)
        ]
        await asyncio.gather(*writing)


def record_of(query: str, attempt: str, sequence: int, step: dict[str, Message]) -> AnswerRecord:
    event = AnswerEvent(query=query, attempt=attempt, sequence=sequence, **step)  # type: ignore[arg-type]
    event.time.FromNanoseconds(time.time_ns())
    return AnswerRecord(event=event)


def envelope(system: System, query: str, asker: tuple[str, str]) -> bytes:
    """What the edge would have said of the query's asker."""
    tenant, subject = asker
    identity = Identity(
        issuer=system.issuer.issuer_url,
        tenant=tenant,
        subject=subject,
        tier="enterprise",
        clearance=Visibility.VISIBILITY_CONFIDENTIAL,
        groups=(),
        limits=GenerationLimits("", 1024, 4096),
        policy_version="test",
    )
    signer = EnvelopeSigner(signing_keys((system.state.secrets / "envelope-key.json").read_text()))
    return signer.seal(identity, record_type(QueryRecord), b"", Statement(query))
