"""Kafka, Postgres and an issuer that are not ours: configuration alone brings Forebay to them."""

import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from forebay.client import AsyncClient, RetryPolicy, Unavailable
from forebay_standalone.broker import KafkaBroker
from forebay_standalone.ports import LOOPBACK, free_port
from forebay_standalone.postgres_server import PostgresServer

START_SECONDS = 90.0
STOP_SECONDS = 30.0
SCRIPTS = Path(sysconfig.get_path("scripts"))
STAGES = ("cataloguing", "chunking", "embedding", "retrieval", "generation")
PASSWORDS = {"write": "w-secret", "retrieve": "r-secret"}
CLAIMS = {"tenant": "org.id", "tier": "https://id.example/plan", "scopes": "permissions"}
POLICY = "tiers:\n  business: {clearance: CONFIDENTIAL}\n"


@dataclass(frozen=True)
class Issuer:
    """An issuer of somebody else's: RS256, and claims in places of its own."""

    url: str
    key: rsa.RSAPrivateKey

    def token(self) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": "documents",
            "sub": "grace",
            "org": {"id": "acme"},
            "https://id.example/plan": "business",
            "permissions": ["ask", "ingest", "openid"],
            "iat": now,
            "exp": now + 600,
        }
        return jwt.encode(claims, self.key, "RS256", {"kid": "rsa-1", "typ": "JWT"})


@dataclass(frozen=True)
class Installation:
    """The address of an edge that was brought up by configuration, its CA, and its issuer."""

    address: str
    ca: Path
    issuer: Issuer


@contextmanager
def issuer() -> Iterator[Issuer]:
    key = rsa.generate_private_key(65537, 2048)
    public = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    body = json.dumps({"keys": [{**public, "kid": "rsa-1", "use": "sig"}]}).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Keys) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Issuer(f"http://{LOOPBACK}:{server.server_port}", key)
        server.shutdown()


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edge")])
    address = x509.IPAddress(ip_address(LOOPBACK))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "edge.pem", folder / "edge-key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, secret


def write_files(folder: Path, trusted: Issuer) -> dict[str, str]:
    """Everything that an operator writes, under the variables that name it."""
    key = Ed25519PrivateKey.generate()
    public = json.loads(OKPAlgorithm.to_jwk(key.public_key()))
    private = json.loads(OKPAlgorithm.to_jwk(key))
    certificate, secret = write_certificate(folder)
    trust = {
        "issuer": trusted.url,
        "jwks_url": f"{trusted.url}/keys",
        "audience": "documents",
        "algorithms": ["RS256"],
        "claims": CLAIMS,
    }
    texts = {
        "ENVELOPE_KEY": json.dumps({**private, "kid": "e1"}),
        "ENVELOPE_JWKS": json.dumps({"keys": [{**public, "kid": "e1"}]}),
        "SEAL_SECRET": os.urandom(32).hex(),
        "ISSUERS": json.dumps([trust]),
        "POLICY": POLICY,
    }
    named = {"TLS_CERTIFICATE": certificate, "TLS_KEY": secret}
    for name, text in texts.items():
        named[name] = folder / name.lower()
        named[name].write_text(text)
    return {f"FOREBAY_{name}_FILE": str(path) for name, path in named.items()}


@contextmanager
def storage(folder: Path) -> Iterator[tuple[KafkaBroker, PostgresServer]]:
    broker = KafkaBroker(folder / "kafka", free_port())
    postgres = PostgresServer(folder / "postgres", free_port(frozenset({broker.port})))
    with ExitStack() as stack:
        for each in (broker, postgres):
            stack.callback(each.stop)
            each.start()
        for each in (postgres, broker):
            each.wait_ready(START_SECONDS)
        yield broker, postgres


def run(command: tuple[object, ...], env: Mapping[str, str]) -> str:
    """Run a command to its end; what it said."""
    done = subprocess.run(
        [str(part) for part in command],
        env=env,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def running(command: tuple[object, ...], env: Mapping[str, str], log: Path) -> Iterator[None]:
    """Run a program until the block is left; it must then leave well."""
    with log.open("wb") as output:
        program = subprocess.Popen(
            [str(part) for part in command], env=env, stdout=output, stderr=output
        )
    try:
        yield
        assert program.poll() is None, log.read_text()
        program.terminate()
        assert program.wait(STOP_SECONDS) == 0, log.read_text()
    finally:
        program.kill()
        program.wait()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("external")
    folder.chmod(0o711)
    with issuer() as trusted, storage(folder) as (broker, postgres), ExitStack() as programs:
        files = write_files(folder, trusted)
        address = f"{LOOPBACK}:{free_port()}"
        env = {
            "PATH": os.environ["PATH"],
            "FOREBAY_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            **{
                f"FOREBAY_POSTGRES_{role.upper()}_DSN": postgres.dsn(f"forebay_{role}", password)
                for role, password in PASSWORDS.items()
            },
        }
        prepare(env, postgres)
        serve = {**env, **files, "FOREBAY_GRPC_ADDRESS": address}
        work = {**env, "FOREBAY_ENVELOPE_JWKS_FILE": files["FOREBAY_ENVELOPE_JWKS_FILE"]}
        programs.enter_context(
            running((SCRIPTS / "forebay-worker", *STAGES), work, folder / "worker.log")
        )
        programs.enter_context(
            running((SCRIPTS / "forebay-server", "serve"), serve, folder / "edge.log")
        )
        ca = Path(files["FOREBAY_TLS_CERTIFICATE_FILE"])
        yield Installation(address, ca, trusted)


def prepare(env: Mapping[str, str], postgres: PostgresServer) -> None:
    """Topics and tables, each twice: a second time changes nothing."""
    apply = (SCRIPTS / "forebay-server", "topics", "apply")
    assert "applied" in run(apply, env)
    assert "as declared" in run(apply, env)
    migrate = (sys.executable, "-m", "forebay_postgres", "migrate")
    admin = {
        **env,
        "FOREBAY_POSTGRES_ADMIN_DSN": postgres.admin_dsn,
        **{f"FOREBAY_POSTGRES_{role.upper()}_PASSWORD": word for role, word in PASSWORDS.items()},
    }
    assert "applied" in run(migrate, admin)
    assert run(migrate, admin) == ""


async def test_a_question_is_answered_over_tls_with_a_token_of_a_foreign_issuer(
    installation: Installation,
) -> None:
    token = installation.issuer.token()
    async with AsyncClient(installation.address, token, tls=installation.ca) as client:
        caller = await client.caller()
        assert (caller.tenant, caller.subject, caller.tier) == ("acme", "grace", "business")
        receipt = await client.ingest("plant", "weir", text="The weir is inspected on Mondays.")
        await client.wait_indexed(receipt.name, receipt.etag)
        answer = await client.ask("When is the weir inspected?").answer()
    assert "Mondays" in answer.text


@pytest.mark.parametrize("tls", [True, False], ids=["unknown authority", "in clear"])
async def test_a_client_that_cannot_verify_the_edge_sends_it_nothing(
    installation: Installation,
    tls: bool,  # noqa: FBT001 the client's own parameter
) -> None:
    once = RetryPolicy(patience=0.0)
    token = installation.issuer.token()
    async with AsyncClient(installation.address, token, tls=tls, timeout=10, retry=once) as client:
        with pytest.raises(Unavailable):
            await client.caller()
