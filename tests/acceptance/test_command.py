"""What a newcomer types, against the running system."""

import json
import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from forebay.query.v1 import Query
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.system import System

FOREBAY = Path(sysconfig.get_path("scripts")) / "forebay"
README = Path(__file__).parents[2] / "README.md"
WEIR = "# The weir\n\nThe weir is inspected every Monday by the duty engineer.\n"


class Shell:
    """Runs `forebay` as somebody of one tenant."""

    def __init__(self, system: System, tenant: str) -> None:
        self._state = str(system.state.path)
        self._env = os.environ | {"FOREBAY_SERVER": system.addresses.grpc}
        self._env["FOREBAY_TOKEN"] = self.token(tenant)

    def token(self, tenant: str) -> str:
        options = ("--state-dir", self._state, "--tenant", tenant, "--tier", "enterprise")
        return self.run("token", *options).stdout.strip()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [FOREBAY, *arguments],
            env=self._env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def shell(system: System, tenant: str, models: ModelServer) -> Shell:
    return Shell(system, tenant)


def test_a_token_is_printed_and_nothing_else(shell: Shell) -> None:
    printed = shell.run("token", "--state-dir", shell._state, "--tenant", "acme")
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", printed.stdout)
    assert printed.stderr == ""


def test_files_go_in_and_questions_are_answered_with_citations(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "weir.md").write_text(WEIR)
    put = shell.run("documents", "put", str(tmp_path), "--visibility", "internal")
    assert put.returncode == 0, put.stderr
    assert "weir" in shell.run("documents", "list").stdout
    asked = shell.run("ask", "When is the weir inspected?")
    assert "every Monday" in asked.stdout
    assert "collections/default/documents/weir" in asked.stdout
    name = "collections/default/documents/weir"
    assert "indexed" in shell.run("documents", "get", name).stdout.lower()
    assert shell.run("documents", "delete", name).returncode == 0


def test_scripts_get_events_as_json_and_follow_queries(shell: Shell) -> None:
    events = [
        json.loads(line) for line in shell.run("ask", "--json", "Anything?").stdout.splitlines()
    ]
    assert "accepted" in events[0]
    assert "completed" in events[-1]
    name = events[0]["query"]
    got = json.loads(shell.run("queries", "get", "--json", name).stdout)
    assert got["state"] == Query.State.Name(Query.STATE_COMPLETED)
    assert shell.run("queries", "follow", name).returncode == 0
    assert "completed" in shell.run("queries", "cancel", name).stdout.lower()


def test_an_error_is_one_line_that_names_field_and_rule(shell: Shell) -> None:
    refused = shell.run("ask", " ")
    assert refused.returncode == 1
    assert refused.stderr == (
        "Error: query.text: must hold a visible character and no NUL (STRING_VISIBLE)\n"
    )


def test_the_readme_s_first_question_works(
    system: System,
    tenant: str,
    models: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    monkeypatch.setenv("FOREBAY_TOKEN", Shell(system, tenant)._env["FOREBAY_TOKEN"])
    exec(code.replace("127.0.0.1:50051", system.addresses.grpc), {})  # noqa: S102 our own
    printed = capsys.readouterr().out
    assert "every Monday" in printed
    assert "rests on collections/notes/documents/weir" in printed
