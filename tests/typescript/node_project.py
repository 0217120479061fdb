"""The TypeScript project with the packages of its lock, where Node is there to run it."""

import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2] / "clients/typescript"
OLDEST_NODE = 20
SECONDS = 100


@cache
def _lack() -> str:
    """Why the project cannot be run here; empty once its packages are there."""
    if not (shutil.which("node") and shutil.which("npm")):
        return "no node and npm"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.lstrip("v").split(".")[0]) < OLDEST_NODE:
        return f"node is {version.stdout.strip()}, older than {OLDEST_NODE}"
    # npm writes this file last, so that one older than the lock is of another or a broken set-up.
    installed = PROJECT / "node_modules/.package-lock.json"
    lock = PROJECT / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return f"npm ci failed: {done.stderr.strip()[-300:]}"
    return ""


def node_project() -> Path:
    """The project's folder; skips the test, with the reason, where it cannot be run."""
    if reason := _lack():
        pytest.skip(reason)
    return PROJECT


def run_npm(*arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run npm in the project and give what it printed; fails the test with it otherwise."""
    done = subprocess.run(
        ["npm", *arguments],
        cwd=node_project(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=None if env is None else dict(env),
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    return done.stdout
