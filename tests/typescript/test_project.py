"""The TypeScript client by itself: its types, its own tests, and what is generated for it."""

import json
import subprocess
import sys
from pathlib import Path

from .node_project import PROJECT, node_project, run_npm

SERVED = PROJECT.parents[1] / "server/src/forebay_server/http/page"


def test_the_sources_type_check() -> None:
    run_npm("run", "check")


def test_the_client_keeps_its_promises_to_scripted_servers() -> None:
    assert "# fail 0" in run_npm("test")


def test_the_committed_types_are_those_of_the_contract(tmp_path: Path) -> None:
    node_project()
    fresh = tmp_path / "schema.ts"
    subprocess.run([sys.executable, PROJECT / "generate.py", fresh], check=True)
    assert fresh.read_text() == (PROJECT / "src/schema.ts").read_text()


def test_the_page_that_is_served_is_built_from_these_sources(tmp_path: Path) -> None:
    run_npm("run", "page", "--", str(tmp_path))
    built = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert built == {path.name: path.read_text() for path in SERVED.iterdir()}


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((PROJECT / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


def test_the_client_brings_one_package_without_packages_of_its_own() -> None:
    packages = json.loads((PROJECT / "package-lock.json").read_text())["packages"]
    brought = {name for name, package in packages.items() if name and not package.get("dev")}
    assert brought == {"node_modules/eventsource-parser"}
    assert "dependencies" not in packages["node_modules/eventsource-parser"]
