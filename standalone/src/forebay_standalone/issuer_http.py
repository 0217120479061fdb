"""The development issuer's HTTP server: its public keys, whether it is up, and tokens for the page.

`python -m forebay_standalone.issuer_http FOLDER HOST PORT`
"""

import sys
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from forebay_standalone.issuer import (
    HOUR,
    JWKS_PATH,
    SUBJECT,
    TENANT,
    DevelopmentIssuer,
    require_loopback,
)

HEALTH_PATH = "/healthz"
KEY_AGE = {"Cache-Control": "public, max-age=300"}  # the key never changes; five minutes is polite
DRAIN_SECONDS = 2
TOKENS_PATH = "/tokens"
TIERS = ("free", "standard", "enterprise")
PAGE_SCOPES = ("ask", "ingest", "operate")  # what the page can do
FORBIDDEN = 403
NEVER_KEPT = {"Cache-Control": "no-store"}


def application(issuer: DevelopmentIssuer) -> Starlette:
    """Give the application of one issuer."""

    async def jwks(_: Request) -> JSONResponse:
        return JSONResponse(issuer.jwks(), headers=KEY_AGE)

    async def health(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    async def tokens(request: Request) -> Response:
        """For the edge, which asks on behalf of its page; what a browser sends has an Origin."""
        own_host = request.headers.getlist("host") == [urlsplit(issuer.issuer_url).netloc]
        tier = request.query_params.get("tier", "")
        if not own_host or "origin" in request.headers or tier not in TIERS:
            return PlainTextResponse("refused\n", FORBIDDEN)
        token = issuer.mint(TENANT, SUBJECT, tier, PAGE_SCOPES)
        lifetime = int(HOUR.total_seconds())
        return JSONResponse({"token": token, "expiresIn": f"{lifetime}s"}, headers=NEVER_KEPT)

    return Starlette(
        routes=[
            Route(JWKS_PATH, jwks),
            Route(HEALTH_PATH, health),
            Route(TOKENS_PATH, tokens, methods=["POST"]),
        ]
    )


def main() -> None:
    """Serve until told to stop."""
    folder, host, port = sys.argv[1:]
    require_loopback(host)
    issuer = DevelopmentIssuer(Path(folder), f"http://{host}:{port}")
    uvicorn.run(
        application(issuer),
        host=host,
        port=int(port),
        log_level="warning",
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


if __name__ == "__main__":
    main()
