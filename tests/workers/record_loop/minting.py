"""Records as the edge makes them, and some that nobody vouches for."""

import json
import time
from dataclasses import dataclass, replace

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message

from forebay.ingest.v1 import Document
from forebay.policy.v1 import Visibility
from forebay.query.v1 import SubmitQueryRequest
from forebay.records.v1 import DocumentRecord, QueryRecord
from forebay_kafka.envelope import EnvelopeSigner, EnvelopeVerifier, Statement
from forebay_kafka.envelope_keys import signing_keys, verification_keys
from forebay_kafka.identity import GenerationLimits, Identity
from forebay_kafka.partitioning import document_key
from forebay_kafka.records import record_type
from forebay_kafka.topics import IDENTITY_HEADER, RECORD_TYPE_HEADER


@dataclass(frozen=True)
class Minted:
    """Key, value and headers of a record."""

    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    def with_value(self, value: bytes | None) -> "Minted":
        return replace(self, value=value)

    def without_headers(self) -> "Minted":
        return replace(self, headers=())


class Mint:
    """An edge with a key of its own."""

    def __init__(self) -> None:
        private = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate()))
        public = {k: v for k, v in private.items() if k not in {"d", "key_ops"}}
        self.signer = EnvelopeSigner(signing_keys(json.dumps({**private, "kid": "k1"})))
        self.jwks = json.dumps({"keys": [{**public, "kid": "k1"}]})
        self.verifier = EnvelopeVerifier(verification_keys(self.jwks))

    def query(
        self,
        name: str,
        *,
        tenant: str = "acme",
        expires_in: float | None = None,
        padding: int = 0,
    ) -> Minted:
        """`name` is `lane@number`."""
        record = QueryRecord(name=f"queries/{name}", request=SubmitQueryRequest(text="x" * padding))
        expire_time = None if expires_in is None else int(time.time() + expires_in)
        statement = Statement(record.name, expire_time=expire_time)
        return self._sealed(record, record.name, tenant, statement)

    def document(
        self, document_id: str, version: str = "v1", *, tenant: str = "acme", text: str = ""
    ) -> Minted:
        name = f"collections/default/documents/{document_id}"
        document = Document(name=name, text=text)
        record = DocumentRecord(name=name, version=version, document=document)
        return self._sealed(record, document_key(tenant, name, version), tenant, Statement(name))

    def _sealed(self, record: Message, key: str, tenant: str, statement: Statement) -> Minted:
        value = record.SerializeToString()
        kind = record_type(type(record))
        token = self.signer.seal(identity_of(tenant), kind, value, statement)
        headers = ((RECORD_TYPE_HEADER, kind.encode()), (IDENTITY_HEADER, token))
        return Minted(key.encode(), value, headers)


def identity_of(tenant: str) -> Identity:
    return Identity(
        issuer="https://issuer.test",
        tenant=tenant,
        subject="u1",
        tier="standard",
        clearance=Visibility.VISIBILITY_INTERNAL,
        groups=(),
        limits=GenerationLimits("", 512, 4096),
        policy_version="1",
    )
