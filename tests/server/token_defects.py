"""One row per defect of a token, each with the word that its refusal names it by."""

import hmac
import json
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from forebay_server.governance.strict_json import MAX_DEPTH
from forebay_server.governance.token_form import MAX_TOKEN_BYTES

from .judging import DAY, HEADER, KEY, NOW, encoded, raw
from .keys import claims, ec_key, public_jwk, rsa_key, token

STRANGER = ec_key()
RSA = rsa_key()
P384 = ec.generate_private_key(ec.SECP384R1())
EDWARDS = Ed25519PrivateKey.generate()
KEYS = [
    public_jwk(KEY, "k1"),
    public_jwk(RSA, "r1"),
    public_jwk(RSA, "only-512", alg="RS512"),
    public_jwk(P384, "p384"),
    public_jwk(EDWARDS, "ed"),
]
GOOD = json.dumps(claims())
SIGNED = raw(HEADER, GOOD)
HEAD, PAYLOAD, SIGNATURE = SIGNED.split(".")


class Defect(NamedTuple):
    """A token, and the word that names what is wrong with it."""

    name: str
    token: str
    rule: str


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def headed(key: Any = KEY, **members: Any) -> str:
    """A token with these members in its header, signed with a key."""
    header = {"alg": "ES256", "typ": "JWT", "kid": "k1"} | members
    return raw(json.dumps({k: v for k, v in header.items() if v is not ...}), GOOD, key)


def claiming(text: str) -> str:
    """A token with the usual claims and these, as they stand there."""
    return raw(HEADER, f"{GOOD[:-1]},{text}}}")


def saying(name: str, text: str) -> str:
    """A token whose claim of this name is written so."""
    return raw(HEADER, f'{json.dumps(claims(**{name: ...}))[:-1]},"{name}":{text}}}')


def keyed_by_the_public_key() -> str:
    """Algorithm confusion (RFC 8725, section 2.1): a public key as if it were a shared secret."""
    secret = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = b'{"alg":"HS256","typ":"JWT","kid":"r1"}'
    signed = f"{encoded(header)}.{PAYLOAD}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


def next_spelling(text: str) -> str:
    """Other characters for the same bytes: base64 leaves bits unused behind the last byte."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


FORM = [
    Defect("one part", "token", "form"),
    Defect("two parts", f"{HEAD}.{PAYLOAD}", "form"),
    Defect("four parts", f"{SIGNED}.x", "form"),
    Defect("five parts, as of a JWE", f"{HEAD}.x.y.z.{SIGNATURE}", "form"),
    Defect("no signature", f"{HEAD}.{PAYLOAD}.", "form"),
    Defect("no payload", f"{HEAD}..{SIGNATURE}", "form"),
    Defect("JSON in place of parts", '{"payload":"e30","signatures":[]}', "form"),
    Defect("a part that is no base64url", f"{HEAD}.{PAYLOAD}.a", "form"),
    Defect("padding", f"{HEAD}.{PAYLOAD}.{SIGNATURE}==", "form"),
    Defect("base64 of the other alphabet", f"{HEAD}.{PAYLOAD}.+/{SIGNATURE[2:]}", "form"),
    Defect("a stray character in the signature", f"{HEAD}.{PAYLOAD}.{SIGNATURE}!", "form"),
    Defect("a line break", f"{HEAD}.{PAYLOAD}\n.{SIGNATURE}", "form"),
    Defect("two tokens", f"{SIGNED} {SIGNED}", "form"),
    Defect("letters beyond ASCII", f"{HEAD}.{PAYLOAD}.{SIGNATURE[:-1]}ß", "form"),
    Defect("another spelling", f"{HEAD}.{PAYLOAD}.{next_spelling(SIGNATURE)}", "form"),
    Defect("a byte over 8 KiB", "x" * (MAX_TOKEN_BYTES + 1), "size"),
    Defect("padding claims", token(KEY, padding="x" * MAX_TOKEN_BYTES), "size"),
]
JSON = [
    Defect("a header that is no JSON", raw("{", GOOD), "form"),
    Defect("a header that is a list", raw("[]", GOOD), "form"),
    Defect("a payload that is a list", raw(HEADER, "[]"), "form"),
    Defect("a payload that is text", raw(HEADER, '"x"'), "form"),
    Defect("a byte order mark", raw(HEADER, "\ufeff" + GOOD), "form"),
    Defect("a payload that is no UTF-8", ".".join([HEAD, encoded(b"\xff{}"), SIGNATURE]), "form"),
    Defect("a member twice in the header", raw(HEADER[:-1] + ',"kid":"k1"}', GOOD), "form"),
    Defect("a claim twice", claiming('"tenant":"globex"'), "form"),
    Defect("a claim twice, once escaped", claiming(r'"t\u0065nant":"globex"'), "form"),
    Defect("a member twice further down", claiming('"act":{"sub":"a","sub":"b"}'), "form"),
    Defect("NaN", claiming('"x":NaN'), "form"),
    Defect("infinity", claiming('"x":-Infinity'), "form"),
    Defect("a number of 5,000 digits", claiming(f'"x":{"9" * 5000}'), "form"),
    Defect("half of a character", claiming(r'"sub2":"\ud800"'), "form"),
    Defect("a nest over the limit", claiming(f'"x":{nested(MAX_DEPTH)}'), "form"),
    Defect("a nest that exhausts a stack", claiming(f'"x":{nested(2500)}'), "form"),
    Defect("a nest in the header", raw(f'{HEADER[:-1]},"x":{nested(MAX_DEPTH)}}}', GOOD), "form"),
]
HEADERS = [
    Defect("crit", headed(crit=["x"]), "crit"),
    Defect("an empty crit", headed(crit=[]), "crit"),
    Defect("b64", headed(b64=False), "crit"),
    Defect("b64 that says the usual", headed(b64=True), "crit"),
    Defect("no typ", headed(typ=...), "typ"),
    Defect("the typ of a logout", headed(typ="logout+jwt"), "typ"),
    Defect("the typ of a proof", headed(typ="dpop+jwt"), "typ"),
    Defect("a typ that is a list", headed(typ=["JWT"]), "typ"),
    Defect("no kid", headed(kid=...), "kid"),
    Defect("an empty kid", headed(kid=""), "kid"),
    Defect("a kid that is a number", headed(kid=7), "kid"),
    Defect("a kid that is a path", headed(kid="../../dev/null"), "kid"),
    Defect("a kid that nobody has", headed(kid="nobody"), "kid"),
    Defect("no alg", headed(alg=...), "alg"),
    Defect("alg none", headed(alg="none"), "alg"),
    Defect("alg None", headed(alg="None"), "alg"),
    Defect("alg none with a kid of another kind", headed(alg="none", kid="r1"), "alg"),
    Defect("an alg that is a list", headed(alg=["ES256"]), "alg"),
    Defect("a shared secret", token("s" * 32, kid="k1", alg="HS256"), "alg"),
    Defect("a public key as a shared secret", keyed_by_the_public_key(), "alg"),
    Defect("an alg that the issuer does not use", token(RSA, kid="r1", alg="RS384"), "alg"),
    Defect("an alg of another kind of key", headed(kid="r1"), "alg"),
    Defect("an alg of another curve", headed(kid="p384"), "alg"),
    Defect("an alg that its key does not name", token(RSA, kid="only-512", alg="RS256"), "alg"),
]
SIGNATURES = [
    Defect("another key", headed(STRANGER), "signature"),
    Defect("another payload", f"{HEAD}.{encoded(GOOD.encode() + b' ')}.{SIGNATURE}", "signature"),
    Defect(
        "another header", f"{encoded(HEADER.encode() + b' ')}.{PAYLOAD}.{SIGNATURE}", "signature"
    ),
    Defect("a signature of zeros", f"{HEAD}.{PAYLOAD}.{encoded(bytes(64))}", "signature"),
    Defect("half a signature", f"{HEAD}.{PAYLOAD}.{SIGNATURE[:40]}", "signature"),
    Defect("its own key in jwk", headed(STRANGER, jwk=public_jwk(STRANGER, "k1")), "signature"),
    Defect("its own key at jku", headed(STRANGER, jku="https://evil.test/keys"), "signature"),
    Defect("its own key at x5u", headed(STRANGER, x5u="https://evil.test/chain"), "signature"),
    Defect("its own key in x5c", headed(STRANGER, x5c=["MIIB"]), "signature"),
]
NO_TIMES = {
    "text": f'"{NOW + 60}"',
    "a date": '"2030-01-01T00:00:00Z"',
    "true": "true",
    "null": "null",
    "a list": f"[{NOW + 60}]",
    "an object": "{}",
    "below zero": "-1",
    "over 2^53": str(2**53),
    "of 400 digits": "9" * 400,
    "over every double": "1e999",
}
TIMES = [
    Defect("no exp", token(KEY, exp=...), "exp"),
    Defect("a life over the cap", token(KEY, exp=NOW + DAY + 60), "lifetime"),
    Defect("a life over the cap, begun long ago", token(KEY, iat=NOW - DAY), "lifetime"),
    Defect("a life over the cap without iat", token(KEY, exp=NOW + 2 * DAY, iat=...), "lifetime"),
    Defect("not yet", token(KEY, nbf=NOW + DAY), "nbf"),
    Defect("issued tomorrow", token(KEY, iat=NOW + DAY), "iat"),
    *(
        Defect(f"{name}: {kind}", saying(name, text), name)
        for name in ("exp", "nbf", "iat")
        for kind, text in NO_TIMES.items()
    ),
]
CLAIMS = [
    Defect("another audience", token(KEY, aud="other"), "audience"),
    Defect("audiences without this one", token(KEY, aud=["other", "FOREBAY"]), "audience"),
    Defect("an audience that is a number", token(KEY, aud=7), "audience"),
    Defect("no audience", token(KEY, aud=...), "audience"),
    Defect("another issuer", token(KEY, iss="https://other.test"), "issuer"),
    Defect("an issuer with a slash more", token(KEY, iss="https://id.test/"), "issuer"),
    Defect("issuers in a list", saying("iss", '["https://id.test"]'), "issuer"),
    Defect("no issuer", token(KEY, iss=...), "issuer"),
    Defect("no tenant", token(KEY, tenant=...), "tenant"),
    Defect("an empty tenant", token(KEY, tenant=""), "tenant"),
    Defect("a tenant in capitals", token(KEY, tenant="Acme"), "tenant"),
    Defect("a tenant with a slash", token(KEY, tenant="a/b"), "tenant"),
    Defect("a tenant with a line break", token(KEY, tenant="acme\n"), "tenant"),
    Defect("a tenant of other digits", token(KEY, tenant="acme\u0663"), "tenant"),
    Defect("a tenant of 64 characters", token(KEY, tenant="a" * 64), "tenant"),
    Defect("tenants in a list", token(KEY, tenant=["acme"]), "tenant"),
    Defect("no subject", token(KEY, sub=...), "subject"),
    Defect("an empty subject", token(KEY, sub=""), "subject"),
    Defect("a subject with a zero", token(KEY, sub="a\x00b"), "subject"),
    Defect("a subject that turns its text around", token(KEY, sub="a\u202eb"), "subject"),
    Defect("a subject of 256 bytes", token(KEY, sub="ß" * 128), "subject"),
    Defect("no tier", token(KEY, tier=...), "tier"),
    Defect("a tier that is a number", token(KEY, tier=1), "tier"),
    Defect("groups in a string", token(KEY, groups="ops"), "groups"),
    Defect("a group that is a number", token(KEY, groups=["ops", 7]), "groups"),
    Defect("an empty group", token(KEY, groups=[""]), "groups"),
    Defect("65 groups", token(KEY, groups=[f"g{number}" for number in range(65)]), "groups"),
    Defect("a scope that is a number", token(KEY, scope=7), "scopes"),
    Defect("a list of numbers as scope", token(KEY, scope=[7]), "scopes"),
    Defect("an actor in a string", token(KEY, act="robot"), "act"),
    Defect("an actor without a name", token(KEY, act={"client_id": "robot"}), "act"),
]
DEFECTS = [*FORM, *JSON, *HEADERS, *SIGNATURES, *TIMES, *CLAIMS]
