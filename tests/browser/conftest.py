"""The page in a real browser, served by the whole system."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from forebay.client import Client
from forebay_standalone.issuer import SUBJECT, TENANT, every_scope
from forebay_standalone.system import System

from ..acceptance.conftest import (  # noqa: TID252 tests are no package
    model_server,
    models,
    system,
    system_folder,
)
from .looking import Look

__all__ = ["model_server", "models", "system", "system_folder"]

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",  # it does not start as root otherwise
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# Its driver keeps an event loop running in this thread, so it must be gone before other tests.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def look(chromium: Browser, system: System) -> Iterator[Look]:
    """Opens the page; fails when it has asked for anything beyond its origin, or is broken."""
    with ExitStack() as stack:
        yield Look(chromium, system, stack)


@pytest.fixture(scope="session")
def author(system: System) -> Iterator[Client]:
    """Brings documents in for the tenant of the development tokens."""
    token = system.issuer.mint(TENANT, SUBJECT, "enterprise", every_scope(), (), timedelta(hours=1))
    with Client(system.addresses.grpc, token) as client:
        yield client


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test here starts a system; it may take longer than a test may."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(240))
