import asyncio

import pytest

from forebay.errors.v1 import ErrorReason
from forebay.records.v1 import DocumentRecord, Stage
from forebay_kafka.failure import error_info, reason_word
from forebay_kafka.settings import MAX_RECORD_BYTES
from forebay_kafka.topics import topic_of

from .bench import Bench
from .kafka_log import KafkaLog
from .minting import Mint, Minted
from .scripted_stage import ScriptedStage

RECORD_INVALID = reason_word(ErrorReason.ERROR_REASON_RECORD_INVALID)
IDENTITY_INVALID = reason_word(ErrorReason.ERROR_REASON_IDENTITY_INVALID)


def poison_of(mint: Mint) -> dict[str, tuple[Minted, str]]:
    good = mint.query("bad@0")
    forged = Mint().query("bad@0")
    value = good.value or b""
    headers = dict(good.headers)
    no_identity = tuple((n, v) for n, v in headers.items() if n != "forebay-identity")
    return {
        "without headers": (good.without_headers(), RECORD_INVALID),
        "truncated": (good.with_value(value[:-1] + b"\xff"), RECORD_INVALID),
        "null on a topic without compaction": (good.with_value(None), RECORD_INVALID),
        "signed by somebody else": (forged, IDENTITY_INVALID),
        "with another value": (
            good.with_value(mint.query("bad@0", padding=9).value),
            IDENTITY_INVALID,
        ),
        "without identity": (Minted(good.key, good.value, no_identity), IDENTITY_INVALID),
    }


@pytest.mark.parametrize("kind", list(poison_of(Mint())))
async def test_a_poison_record_becomes_a_dead_letter_and_its_partition_goes_on(
    bench: Bench, mint: Mint, kind: str
) -> None:
    poison, reason = poison_of(mint)[kind]
    stage = ScriptedStage()
    bench.start(stage)
    await bench.records(mint.query("a@0"), poison, mint.query("b@0"))
    await bench.until_committed(3)
    assert sorted(stage.done) == ["a@0", "b@0"]
    (letter,) = await bench.dead_letters()
    assert (letter.stage, letter.partition, letter.offset) == (Stage.STAGE_RETRIEVAL, 0, 1)
    assert letter.key == poison.key
    assert letter.HasField("value") == (poison.value is not None)
    assert letter.value == (poison.value or b"")
    assert tuple((h.name, h.value) for h in letter.headers) == poison.headers
    assert error_info(letter.error).reason == reason
    assert letter.attempts == 0


async def test_a_tombstone_on_a_compacted_topic_is_passed_over(bench: Bench, mint: Mint) -> None:
    class Documents(ScriptedStage):
        reads = (DocumentRecord,)

    stage = Documents()
    bench.start(stage)
    topic = topic_of(DocumentRecord).name
    end = mint.document("d", "v0").with_value(None).without_headers()
    await bench.log.append(topic, 0, [end, mint.document("d", "v1")])
    await stage.until(lambda: len(stage.done) == 1)
    assert await bench.dead_letters() == []


async def test_a_tombstone_reaches_a_stage_that_ends_keys_behind_the_records_of_its_lane(
    bench: Bench, mint: Mint
) -> None:
    class Documents(ScriptedStage):
        reads = (DocumentRecord,)

        async def end(self, key: str) -> None:
            self.done.append(f"end of {key}")
            self.note()

    going = asyncio.Event()
    stage = Documents(lambda _: going.wait())
    bench.start(stage)
    first = mint.document("d", "v0")
    end = first.with_value(None).without_headers()
    await bench.log.append(topic_of(DocumentRecord).name, 0, [first, end])
    await stage.until(lambda: stage.running == 1)
    assert stage.done == []
    going.set()
    await stage.until(lambda: len(stage.done) == 2)
    assert stage.done[1] == f"end of {(first.key or b'').decode()}"
    assert await bench.dead_letters() == []


async def test_a_record_too_large_for_a_dead_letter_leaves_its_position_there(
    kafka_log: KafkaLog, mint: Mint
) -> None:
    async with Bench(kafka_log, mint, "forebay.large") as bench:
        stage = ScriptedStage()
        bench.start(stage)
        huge = mint.query("a@0", padding=MAX_RECORD_BYTES - 900)
        await bench.records(huge.without_headers())
        await bench.until_committed(1)
        (letter,) = await bench.dead_letters()
        assert (letter.partition, letter.offset) == (0, 0)
        assert not letter.HasField("value")
