"""The development issuer's HTTP server: its public keys, and whether it is up.

`python -m forebay_standalone.issuer_http FOLDER HOST PORT`
"""

import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from forebay_standalone.issuer import JWKS_PATH, DevelopmentIssuer, require_loopback

HEALTH_PATH = "/healthz"
KEY_AGE = {"Cache-Control": "public, max-age=300"}  # the key never changes; five minutes is polite
DRAIN_SECONDS = 2


def application(issuer: DevelopmentIssuer) -> Starlette:
    """Give the application that shows the keys of one issuer."""

    async def jwks(_: Request) -> JSONResponse:
        return JSONResponse(issuer.jwks(), headers=KEY_AGE)

    async def health(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    return Starlette(routes=[Route(JWKS_PATH, jwks), Route(HEALTH_PATH, health)])


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
