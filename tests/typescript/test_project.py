"""The TypeScript client by itself: its types, its own tests, and what it brings along."""

import json

from .node_project import PROJECT, run_npm


def test_the_sources_type_check() -> None:
    run_npm("run", "check")


def test_the_client_keeps_its_promises_to_scripted_servers() -> None:
    assert "# fail 0" in run_npm("test")


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((PROJECT / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


def test_the_client_brings_one_package_without_packages_of_its_own() -> None:
    packages = json.loads((PROJECT / "package-lock.json").read_text())["packages"]
    brought = {name for name, package in packages.items() if name and not package.get("dev")}
    assert brought == {"node_modules/eventsource-parser"}
    assert "dependencies" not in packages["node_modules/eventsource-parser"]
