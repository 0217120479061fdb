"""What is generated for the TypeScript client, and built of it, is what its sources say."""

import subprocess
import sys
from pathlib import Path

from .node_project import PROJECT, node_project, run_npm

SERVED = PROJECT.parents[1] / "server/src/forebay_server/http/page"


def test_the_committed_types_are_those_of_the_contract(tmp_path: Path) -> None:
    node_project()
    fresh = tmp_path / "schema.ts"
    subprocess.run([sys.executable, PROJECT / "generate.py", fresh], check=True)
    assert fresh.read_text() == (PROJECT / "src/schema.ts").read_text()


def test_the_page_that_is_served_is_built_from_these_sources(tmp_path: Path) -> None:
    run_npm("run", "page", "--", str(tmp_path))
    built = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert built == {path.name: path.read_text() for path in SERVED.iterdir()}
