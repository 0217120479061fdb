"""What a machine makes up from the document: nothing of it surprises the edge."""

import asyncio
import sys
from pathlib import Path

from forebay.policy.v1 import Scope
from forebay_kafka.settings import KafkaSettings
from forebay_postgres import PostgresSettings
from forebay_server.errors import scope_word

from .conftest import Installation
from .http_edge import serving

# What the document cannot say is left out: rules in CEL make some valid-looking requests invalid,
# and protobuf's JSON takes null for every field.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)

# What operators may call; the rest is in tests/acceptance, with tokens of two tenants.
OPERATORS = "deadLetters|/pipeline$"
EXAMPLES = "15"


async def test_no_request_that_operators_may_make_up_is_answered_outside_the_document(
    installation: Installation,
    kafka: KafkaSettings,
    postgres_nowhere: PostgresSettings,
    tmp_path: Path,
) -> None:
    scopes = " ".join(scope_word(scope) for scope in Scope.values() if scope)
    async with serving(installation.settings, kafka, postgres_nowhere) as edge:
        running = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"http://127.0.0.1:{edge.port}/openapi.json",
            *("--header", f"Authorization: Bearer {installation.token(scope=scopes)}"),
            *("--checks", ",".join(CHECKS)),
            *("--include-path-regex", OPERATORS),
            *("--max-examples", EXAMPLES, "--seed", "1", "--no-color"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await running.communicate()
    assert running.returncode == 0, told.decode()
