"""What tests of limits stand on: callers, a clock to turn, and a real Redis."""

import dataclasses
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from forebay.policy.v1 import Visibility
from forebay.query.v1 import Usage
from forebay.records.v1 import UsageRecord
from forebay_kafka.identity import GenerationLimits
from forebay_postgres.errors import DatabaseUnavailable
from forebay_server.governance.caller import Caller, TierLimits
from forebay_server.limits.allowances import Allowances
from forebay_server.limits.backlog import Backlog
from forebay_server.limits.limiter import Limiter
from forebay_server.limits.memory_store import MemoryStore
from forebay_server.limits.usage_ledger import UsageLedger
from forebay_standalone.ports import free_port


def caller(
    subject: str = "ada", tenant: str = "acme", issuer: str = "https://id.example"
) -> Caller:
    return Caller(
        issuer=issuer,
        tenant=tenant,
        subject=subject,
        tier="standard",
        clearance=Visibility.VISIBILITY_INTERNAL,
        groups=(),
        scopes=frozenset(),
        limits=TierLimits(10, GenerationLimits("", 100, 1_000)),
        expire_time=2_000_000_000.0,
        policy_version="1",
    )


def allowed(who: Caller, allowances: Allowances) -> Caller:
    """The caller as a policy with these allowances has it."""
    return dataclasses.replace(who, allowances=allowances)


ADA, BOB, EVE = caller("ada"), caller("bob"), caller("eve", "globex")
NIGHT = datetime(2026, 3, 1, 23, 59, 50, tzinfo=UTC).timestamp()


@dataclass
class Turned:
    """A clock that stands still until it is turned."""

    now: float

    def __call__(self) -> float:
        return self.now


class Catalogue:
    """Counts waiting documents as a test says, or not at all."""

    def __init__(self) -> None:
        self.waiting = 0
        self.down = False
        self.asked = 0

    async def count(self, tenant: str, at_most: int) -> int:
        self.asked += 1
        if self.down:
            raise DatabaseUnavailable("down")
        return min(self.waiting, at_most)


class Edge:
    """A limiter in memory, with clocks to turn."""

    def __init__(self) -> None:
        self.clock, self.uptime = Turned(NIGHT), Turned(0)
        self.ledger = UsageLedger(self.clock)
        self.catalogue = Catalogue()
        self.store = MemoryStore(self.uptime)
        self.backlog = Backlog(self.catalogue.count, self.uptime)
        self.limiter = Limiter(self.store, self.ledger, self.backlog, self.clock)

    def spend(self, tenant: str, tokens: int, attempt: str = "1", name: str = "queries/a") -> None:
        record = UsageRecord(name=name, attempt=attempt, usage=Usage(output_tokens=tokens))
        record.time.FromSeconds(int(self.clock()))
        self.ledger.charge(tenant, record)


async def ask(edge: Edge, name: str, allowances: Allowances, who: Caller = ADA) -> None:
    await edge.limiter.admit_answer(
        allowed(who, allowances), name, edge.clock() + 60, followed=True
    )


class RedisServer:
    """Debian's redis-server on a free port, without a file."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        options = ["--port", str(self._port), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [self._program, "--bind", "127.0.0.1", *options], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            else:
                return

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no redis-server: apt-get install redis-server")
    server = RedisServer(program)
    server.start()
    try:
        yield server
    finally:
        server.kill()
