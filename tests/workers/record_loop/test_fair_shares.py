import asyncio
from typing import Any

from forebay_workers.record_loop.settings import LoopSettings
from forebay_workers.record_loop.stage import Work

from .bench import DOCUMENTS, Bench
from .scripted_stage import ScriptedDocuments, name_of

FLOOD = 10_000


async def test_a_flood_of_one_tenant_does_not_hold_up_the_document_of_another(
    bench: Bench,
) -> None:
    async def a_moment(_: Work[Any]) -> None:
        await asyncio.sleep(0.01)

    stage = ScriptedDocuments(a_moment)
    member = bench.start(stage, LoopSettings(max_in_flight=8))
    await member.loop.joined.wait()
    time = asyncio.get_running_loop().time
    idle = []
    for n in range(10):
        began = time()
        await bench.documents(f"idle-{n}", tenant="small")
        await stage.until(lambda n=n: f"idle-{n}" in stage.done)  # type: ignore[misc]
        idle.append(time() - began)
    for partition in range(4):
        records = (f"p{partition}-{n}" for n in range(FLOOD // 4))
        await bench.documents(*records, partition=partition, tenant="big")
    began, before = time(), len(stage.done)
    await bench.documents("late", tenant="small")
    await stage.until(lambda: "late" in stage.done)
    took, passed = time() - began, len(stage.done) - before
    print(f"idle {sorted(idle)[5] * 1000:.1f} ms, in the flood {took * 1000:.1f} ms, {passed=}")
    assert passed < FLOOD // 20


async def test_a_tenant_that_a_key_only_claims_gets_nothing_by_it(bench: Bench) -> None:
    honest = bench.mint.document("a", tenant="small")
    posing = bench.mint.document("b", tenant="big")
    claimed = type(posing)(honest.key, posing.value, posing.headers)
    seen: list[str] = []

    async def keep(work: Work[Any]) -> None:
        seen.append(f"{work.envelope.identity.tenant}/{name_of(work)}")

    stage = ScriptedDocuments(keep)
    bench.start(stage)
    await bench.log.append(DOCUMENTS, 0, [claimed, honest])
    await stage.until(lambda: stage.done == ["a"])
    assert seen == ["small/a"]
    (letter,) = await bench.dead_letters()
    assert letter.tenant == ""
