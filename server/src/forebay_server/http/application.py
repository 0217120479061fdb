"""connexion's application: it routes by the OpenAPI document; operations do the rest.

connexion's own checks of tokens, bodies and parameters are left out: the chain that gRPC calls go
through is the only set of rules, and it admits a caller before anything of its call is read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

from connexion.apps.asynchronous import AsyncApp
from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.middleware.routing import RoutingMiddleware
from connexion.operations.abstract import AbstractOperation
from connexion.resolver import Resolver
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Router
from starlette.types import ASGIApp

from forebay_server.errors import EdgeError
from forebay_server.http.cors import OriginsOfPolicy
from forebay_server.http.errors import PathUnknown, VerbUnknown
from forebay_server.http.operations import Ended, Operations, trace_of
from forebay_server.http.pages import verb_of
from forebay_server.http.path_templates import routable
from forebay_server.http.replies import refusal
from forebay_server.http.requests import (
    ANSWER_HEADERS,
    ClientGone,
    Receive,
    Request,
    Scope,
    Send,
)

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
# Answers are data: a browser that shows one as a page runs and loads nothing.
CONTENT_SECURITY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


def application(
    document: Mapping[str, Any],
    operations: Operations,
    pages: Mapping[str, ASGIApp],
    allows_origin: Callable[[str], bool],
) -> ASGIApp:
    """The ASGI application: the document's paths, and pages by their paths."""
    verbs = {path: verb_of(page) for path, page in pages.items()}
    refusals = partial(Refusals, operations=operations, pages=verbs)
    app = AsyncApp(__name__, middlewares=[refusals, Routes, Transcoded])
    app.add_api(dict(document), resolver=Resolver(partial(_function, operations)))
    for path, page in pages.items():
        app.add_url_rule(path, view_func=page, methods=[verbs[path]])
    called = {binding.verb for binding in operations.bindings}
    return Guarded(OriginsOfPolicy(app, allows_origin, called))


class Guarded:
    """Adds the headers that every answer has, and those of the call that it answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        more: list[tuple[bytes, bytes]] = []
        scope["extensions"][ANSWER_HEADERS] = more
        await self._app(scope, receive, partial(_send_guarded, send, more))


class Refusals:
    """Turns everything that fails into one form of answer, whoever failed it."""

    def __init__(self, app: ASGIApp, operations: Operations, pages: Mapping[str, str]) -> None:
        self._app = app
        self._operations = operations
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            # Starlette's routers raise what they refuse where they see an application.
            scope["app"] = self
            scope["path"] = routable(scope["raw_path"])
            await self._app(scope, receive, send)
        except (ClientGone, Ended):
            return
        except Exception as error:  # noqa: BLE001 the last place before the client
            await self._refuse(error, request, send)

    async def _refuse(self, error: Exception, request: Request, send: Send) -> None:
        if isinstance(error, HTTPException):
            error = self._known(request)
            self._operations.unknown(error, request)
        await refusal(error, trace_of(request)).send(send)

    def _known(self, request: Request) -> EdgeError:
        path = request.scope["path"]
        # By the contract's templates: a router's own paths are wider, `abc:guess` fits an id there.
        bindings = self._operations.bindings
        verbs = {b.verb for b in bindings if b.template.match(path) is not None}
        if path in self._pages:
            verbs.add(self._pages[path])
        return VerbUnknown(verbs) if verbs else PathUnknown()


class Routes(RoutingMiddleware):
    """connexion's routing without redirects: a path with a slash too many is another path."""

    def add_api(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 connexion's own
        """Take the routes of a document."""
        super().add_api(*arguments, **options)
        self.router.redirect_slashes = False
        for route in self.router.routes:
            if isinstance(route, Mount) and isinstance(route.app, Router):
                route.app.redirect_slashes = False


class TranscodedApi(RoutedAPI[ASGIApp]):
    """The operations of one document, each the function that its resolver found."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 connexion's own
        super().__init__(*arguments, **options)
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> ASGIApp:
        """The function itself: it is an ASGI application."""
        function: ASGIApp = operation.function
        return function


class Transcoded(RoutedMiddleware[TranscodedApi]):
    """Runs the operation that a request was routed to."""

    api_cls = TranscodedApi


def _function(
    operations: Operations, operation_id: str
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    return partial(operations.answer, operation_id)


async def _send_guarded(
    send: Send,
    more: Iterable[tuple[bytes, bytes]],
    message: Any,  # noqa: ANN401 an ASGI event
) -> None:
    if message["type"] == "http.response.start":
        headers = [*message["headers"], *SECURITY_HEADERS, *more]
        if not any(name == CONTENT_SECURITY[0] for name, _ in headers):
            headers.append(CONTENT_SECURITY)
        message = {**message, "headers": headers}
    await send(message)
