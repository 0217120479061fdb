"""Pages of other origins (WHATWG Fetch, section 3.2), as the policy of the moment lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from forebay_server.errors import FieldInvalid, Violation
from forebay_server.http.replies import refusal

MAX_AGE_SECONDS = 600  # browsers cap it at two hours and less
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Content-Encoding",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "Traceparent",
)
RESPONSE_HEADERS = (
    "ETag",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
)


class OriginsOfPolicy(CORSMiddleware):
    """Lets pages of listed origins read answers; for all others there is no CORS at all.

    `allows` tells of each request's origin, as browsers spell it, so that a change of the list
    needs no restart.
    """

    def __init__(self, app: ASGIApp, allows: Callable[[str], bool], verbs: Iterable[str]) -> None:
        super().__init__(
            app,
            allow_methods=sorted(verbs),
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
            max_age=MAX_AGE_SECONDS,
        )
        self._allows = allows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        origin = Headers(scope=scope).get("origin")
        if origin is None or not self._allows(origin):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        """Whether pages of that origin may read answers."""
        return self._allows(origin)

    def preflight_response(self, request_headers: Headers) -> Response:
        """What a page may send; a refusal has the one form that every refusal has."""
        response = super().preflight_response(request_headers)
        if response.status_code == 200:  # noqa: PLR2004
            return response
        reply = refusal(FieldInvalid(Violation("", "cors", bytes(response.body).decode())))
        return Response(reply.body, reply.status, reply.headers, "application/json")
