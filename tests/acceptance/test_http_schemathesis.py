"""What a machine makes up from the document, as people of two tenants: nothing of it surprises."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from forebay.client import AsyncClient
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.system import System

from ..server import schemathesis_hooks  # noqa: TID252 tests are no package
from ..server.schemathesis_hooks import CANARY, TENANTS  # noqa: TID252 see above

LEFT_OUT = ":watch$"  # has no end
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "5")  # of each method in each phase
SECONDS = 3_600 if "SCHEMATHESIS_EXAMPLES" in os.environ else 110
SCOPES = ("ask", "ingest")  # operators see all tenants
# As people of one tenant, who know the names of the other's.
CONFIGURATION = """
hooks = {hooks}
[auth.wfc]
path = "people.json"
peers = {peers}
[dictionaries.queries]
values = {queries}
[dictionaries.documents]
values = {documents}
[dictionaries.collections]
values = ["plant"]
[parameters]
"path.query" = {{dictionary = "queries", probability = 0.7}}
"path.document" = {{dictionary = "documents", probability = 0.7}}
"path.collection" = {{dictionary = "collections", probability = 0.7}}
"""


@pytest.mark.slow_faults
@pytest.mark.timeout(SECONDS + 120)  # the first test here starts the system
async def test_no_request_of_the_documents_own_making_is_answered_outside_it(
    system: System, models: ModelServer, tmp_path: Path
) -> None:
    """No 5xx, nothing outside the schemas, and nothing of one tenant's for the other."""
    tokens = {
        tenant: system.issuer.mint(tenant, "somebody", "enterprise", SCOPES) for tenant in TENANTS
    }
    names = [await planted(system.addresses.grpc, tenant, tokens[tenant]) for tenant in TENANTS]
    documents, queries = (
        [each.rsplit("/", 1)[1] for each in kind] for kind in zip(*names, strict=True)
    )
    (tmp_path / "people.json").write_text(people(tokens))
    (tmp_path / "schemathesis.toml").write_text(
        CONFIGURATION.format(
            hooks=json.dumps(schemathesis_hooks.__file__),
            peers=json.dumps(TENANTS),
            queries=json.dumps(queries),
            documents=json.dumps(documents),
        )
    )
    told = await run(f"http://{system.addresses.http}/openapi.json", tmp_path)
    assert re.search(r"\d+ passed", told.split("Stateful", 1)[1])


async def planted(address: str, tenant: str, token: str) -> tuple[str, str]:
    """A document and a question of the tenant's, and the canary in both."""
    text = f"The weir of {CANARY.format(tenant)}."
    async with AsyncClient(address, token) as client:
        receipt = await client.ingest("plant", f"weir-{tenant}", text=text)
        await client.wait_indexed(receipt.name, receipt.etag)
        return receipt.name, (await client.ask(text).answer()).query


def people(tokens: dict[str, str]) -> str:
    """Tokens as Web Fuzzing Commons writes them."""
    entries = [
        {
            "name": tenant,
            "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token}"}],
        }
        for tenant, token in tokens.items()
    ]
    return json.dumps({"auth": entries})


async def run(document: str, folder: Path) -> str:
    """Run all checks in all phases; what schemathesis says when it finds nothing wrong."""
    running = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        "run",
        document,
        *("--checks", "all"),
        *("--phases", "examples,coverage,fuzzing,stateful"),
        *("--exclude-path-regex", LEFT_OUT),
        *("--max-examples", EXAMPLES, "--generation-deterministic", "--no-color"),
        *("--request-timeout", "20"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await asyncio.wait_for(running.communicate(), SECONDS)
    assert running.returncode == 0, told.decode()
    return told.decode()
