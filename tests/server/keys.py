"""Keys, tokens and an issuer's HTTP server, all real."""

import json
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.warnings import InsecureKeyLengthWarning

ISSUER = "https://id.test"
AUDIENCE = "forebay"


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public_jwk(key: Any, kid: str, **members: Any) -> dict[str, Any]:
    kinds: dict[type, Any] = {
        rsa.RSAPrivateKey: RSAAlgorithm,
        ec.EllipticCurvePrivateKey: ECAlgorithm,
        Ed25519PrivateKey: OKPAlgorithm,
    }
    algorithm = next(found for kind, found in kinds.items() if isinstance(key, kind))
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, **members}


def private_jwk(key: Ed25519PrivateKey, kid: str) -> dict[str, Any]:
    return {**json.loads(OKPAlgorithm.to_jwk(key)), "kid": kid}


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "tenant": "acme",
        "tier": "enterprise",
        "groups": ["ops"],
        "scope": "ask ingest openid",
        "iat": now,
        "exp": now + 3600,
    }
    return {name: value for name, value in (usual | changed).items() if value is not ...}


def token(
    key: Any, kid: str = "k1", alg: str = "ES256", typ: str = "at+jwt", **changed: Any
) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)  # what the edge must refuse
        return jwt.encode(claims(**changed), key, alg, headers={"kid": kid, "typ": typ})


class KeyServer:
    """Shows a set of keys over HTTP; counts what it is asked, and can be out of order."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.status = 200
        self.location = ""
        self.padding = 0
        self.requests = 0
        self.url = ""


@contextmanager
def key_server() -> Iterator[KeyServer]:
    shown = KeyServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.requests += 1
            body = json.dumps({"keys": shown.keys}).encode() + b" " * shown.padding
            self.send_response(shown.status)
            if shown.location:
                self.send_header("Location", shown.location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shown.url = f"http://127.0.0.1:{server.server_port}/jwks.json"
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield shown
    server.shutdown()
    thread.join()
    server.server_close()
