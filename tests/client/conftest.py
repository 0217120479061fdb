from collections.abc import AsyncIterator

import grpc.aio
import pytest

from .command import Command
from .driver import AsyncDriver, Driver, SyncDriver
from .peer import Peer, add_to_server


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    script = Peer()
    server = grpc.aio.server()
    add_to_server(script, server)
    script.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield script
    await server.stop(None)


@pytest.fixture(params=[AsyncDriver, SyncDriver], ids=["async", "sync"])
def driver_class(request: pytest.FixtureRequest) -> type[Driver]:
    return request.param


@pytest.fixture
async def driver(peer: Peer, driver_class: type[Driver]) -> AsyncIterator[Driver]:
    driver = driver_class(peer.target)
    yield driver
    await driver.close()


@pytest.fixture
def forebay(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> Command:
    for name in ("FOREBAY_SERVER", "FOREBAY_TOKEN", "FOREBAY_TOKEN_FILE", "FOREBAY_CA"):
        monkeypatch.delenv(name, raising=False)
    return Command(peer.target)
