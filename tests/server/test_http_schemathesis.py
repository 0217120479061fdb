"""What a machine makes up from the document: nothing of it surprises the edge."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from forebay.policy.v1 import Scope
from forebay_kafka.settings import KafkaSettings
from forebay_postgres import PostgresSettings
from forebay_server.errors import scope_word

from . import schemathesis_hooks
from .conftest import Installation
from .http_edge import serving

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
    hooks = json.dumps(schemathesis_hooks.__file__)
    (tmp_path / "schemathesis.toml").write_text(f"hooks = {hooks}")
    async with serving(installation.settings, kafka, postgres_nowhere) as edge:
        running = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"http://127.0.0.1:{edge.port}/openapi.json",
            *("--header", f"Authorization: Bearer {installation.token(scope=scopes)}"),
            *("--checks", "all"),
            *("--include-path-regex", OPERATORS),
            *("--max-examples", EXAMPLES, "--seed", "1", "--no-color"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await running.communicate()
    assert running.returncode == 0, told.decode()


@pytest.mark.parametrize(
    ("field", "rule", "is_beyond"),
    [
        ('query.filter["\n]"]', "string.pattern", True),
        ("document.name", "path.agrees", True),
        ("document_id", "string.pattern", False),
        ('document.labels["a"]', "string.max_len", False),
        ("top_k", "int32.gte_lte", False),
        ("", "json.syntax", False),
    ],
)
def test_what_a_schema_can_say_is_no_excuse(field: str, rule: str, is_beyond: bool) -> None:  # noqa: FBT001 a table
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    info = {"@type": kind, "reason": "FIELD_INVALID", "metadata": {"field": field, "rule": rule}}
    assert schemathesis_hooks.is_beyond_schemas({"details": [info]}) == is_beyond
