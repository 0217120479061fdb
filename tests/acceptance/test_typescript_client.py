"""The TypeScript client against the whole system: its own tests, and the example of its README."""

import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path

from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.issuer import every_scope
from forebay_standalone.system import System

from ..typescript.node_project import node_project, run_npm  # noqa: TID252 tests are no package

HOUR = timedelta(hours=1)


def test_the_typescript_client_works_with_the_system(
    system: System, models: ModelServer, tenant: str
) -> None:
    models.behave(answer_tokens=20)
    env = {
        **os.environ,
        "FOREBAY_URL": f"http://{system.addresses.http}",
        "FOREBAY_TOKEN": system.issuer.mint(tenant, "ada", "enterprise", every_scope(), (), HOUR),
        "FOREBAY_FREE_TOKEN": system.issuer.mint(tenant, "ada", "free", ["ask"], (), HOUR),
    }
    printed = run_npm("test", env=env)
    assert "# fail 0" in printed
    assert "# skipped 0" in printed


def test_the_example_of_the_typescript_readme_runs(
    system: System, models: ModelServer, tenant: str, tmp_path: Path
) -> None:
    project = node_project()
    [example] = re.findall(r"```ts\n(.*?)```", (project / "README.md").read_text(), re.DOTALL)
    program = tmp_path / "example.mjs"
    bundle = ["--bundle", "--loader=ts", "--platform=node", "--format=esm"]
    subprocess.run(
        ["node_modules/.bin/esbuild", *bundle, "--alias:forebay=./src", f"--outfile={program}"],
        cwd=project,
        input=example.replace("127.0.0.1:8080", system.addresses.http),
        text=True,
        check=True,
    )
    token = system.issuer.mint(tenant, "ada", "enterprise", every_scope(), (), HOUR)
    done = subprocess.run(
        ["node", program],
        env={**os.environ, "FOREBAY_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "rests on collections/default/documents/hours" in done.stdout
