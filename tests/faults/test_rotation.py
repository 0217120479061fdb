"""Envelope keys and seal secrets change under load: no call is refused and no query fails."""

import asyncio
import itertools
import json
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from forebay.client import AsyncClient
from forebay.client.request_id import RequestIds
from forebay.query.v1 import Query
from forebay.records.v1 import DocumentRecord, QueryRecord
from forebay_kafka.topics import IDENTITY_HEADER
from forebay_server.seals.query_names import Asker, QueryNames
from forebay_server.seals.secrets import SealSecrets
from forebay_standalone.files import PRIVATE, write_whole
from forebay_standalone.system import System

from .conftest import ONE_ATTEMPT, mint
from .fault_table import FaultTable
from .log_books import LogBooks

ASKERS = 4
NOTICE_SECONDS = 5.0  # programs look every second, and count new content when they look again
COLLECTION = "rotation"


@dataclass
class Seen:
    """Answered queries, each with the cursor of its first event, and accepted documents."""

    cursors: dict[str, str] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)
    moved: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.mark.slow_faults
async def test_keys_and_secrets_change_under_load_and_nobody_notices(
    system: System, table: FaultTable
) -> None:
    with table.fault(
        "a new envelope key and a new seal secret under load",
        "G1 G2 G4",
        "no call refused, no query failed, every name and cursor good on both sides",
    ) as row:
        token, books, seen = mint(system), LogBooks(system), Seen()
        letters = len(await asyncio.to_thread(books.letters))
        former = (system.state.secrets / "seal-secret").read_text().split()[0]
        repeated = RequestIds().new()
        async with AsyncClient(system.addresses.grpc, token, retry=ONE_ATTEMPT) as client:
            moment = asyncio.get_running_loop().create_future()
            async with asyncio.TaskGroup() as working:
                for number in range(ASKERS):
                    working.create_task(use(client, seen, str(number), moment))
                before = await client.submit("Who?", request_id=repeated)
                while len(seen.cursors) < ASKERS:
                    seen.moved.clear()
                    await seen.moved.wait()
                moment.set_result(change_files(system))
            after = await client.submit("Who?", request_id=repeated)
            assert after.name == before.name
            for name, cursor in seen.cursors.items():
                assert (await client.get_query(name)).state == Query.STATE_COMPLETED
                assert await client.follow(name, cursor).answer()
            for name, etag in seen.documents.items():
                await client.wait_indexed(name, etag)
        keys = await asyncio.to_thread(keys_of, books, seen)
        row.saw(f"{len(seen.cursors)} answered, {len(seen.documents)} indexed, signed {dict(keys)}")
        assert len(keys) == 2
        old = QueryNames(SealSecrets(bytes.fromhex(former)))
        asker = Asker(system.issuer.issuer_url, tenant_of(token), "somebody")
        sealed_before = [name for name in seen.cursors if old.opened(asker, name)]
        assert 0 < len(sealed_before) < len(seen.cursors)
        assert len(await asyncio.to_thread(books.letters)) == letters


async def use(client: AsyncClient, seen: Seen, asker: str, moment: asyncio.Future[float]) -> None:
    """Ask and bring in, in rounds of which the last begins after the moment; all is answered."""
    for number in itertools.count():
        is_last = moment.done() and time.time() > moment.result()
        document = f"gate-{asker}-{number}"
        accepted = await client.ingest(COLLECTION, document, text=f"The {document} is open.")
        seen.documents[accepted.name] = accepted.etag
        stream = client.ask(f"Is the {document} open?")
        events = [event async for event in stream]
        await stream.answer()
        seen.cursors[events[0].query] = events[0].cursor
        seen.moved.set()
        if is_last:
            return


def change_files(system: System) -> int:
    """Put a key and a secret into force, `NOTICE_SECONDS` from now; returns when that is."""
    moment, state = int(time.time() + NOTICE_SECONDS), system.state
    key_file, secret_file = state.secrets / "envelope-key.json", state.secrets / "seal-secret"
    former, former_secret = json.loads(key_file.read_text()), secret_file.read_text().split()[0]
    new = private_jwk(f"since-{moment}")
    public = [{**without_private(new), "nbf": moment}, {**without_private(former), "exp": moment}]
    since = datetime.fromtimestamp(moment, UTC).isoformat()
    # All at once and the private key first: until the moment comes, everything goes on as it was.
    write_whole(key_file, json.dumps({"keys": [new, former]}), PRIVATE)
    write_whole(secret_file, f"{secrets.token_hex(32)} {since}\n{former_secret}\n", PRIVATE)
    write_whole(state.path / "envelope-jwks.json", json.dumps({"keys": public}))
    return moment


def private_jwk(key_id: str) -> dict[str, Any]:
    algorithm = jwt.get_algorithm_by_name("EdDSA")
    return {**algorithm.to_jwk(Ed25519PrivateKey.generate(), as_dict=True), "kid": key_id}


def without_private(key: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name != "d"}


def keys_of(books: LogBooks, seen: Seen) -> Counter[str]:
    """How many of the questions and documents each key signed."""
    ours = (*seen.cursors, *(name.rpartition("/")[2] for name in seen.documents))
    found: Counter[str] = Counter()
    for record in (QueryRecord, DocumentRecord):
        for received in books.records(record):
            key = (received.key or b"").decode(errors="replace")  # others leave poison behind
            if received.value is not None and key.partition("@")[0].endswith(ours):
                token = received.only_header(IDENTITY_HEADER)
                found[str(jwt.get_unverified_header(token)["kid"])] += 1
    return found


def tenant_of(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["tenant"])
