"""The page for people at `/`: its files, which are made in clients/typescript/page."""

from __future__ import annotations

from importlib.resources import files

from starlette.types import ASGIApp

from forebay_server.http.pages import Page
from forebay_server.http.replies import Reply

ROOT = "/"
FILES = {
    ROOT: ("index.html", "text/html; charset=utf-8"),
    "/page/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page/icon.svg": ("icon.svg", "image/svg+xml"),
}
# Everything comes from here and nothing is made from text: no script in the page, no markup by
# script, no form that a browser would send by itself.
CONTENT_SECURITY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
# The page cannot ask which token it may get before it has one: this line of it says so.
WITHOUT_TOKENS = b'<meta name="development-tokens" content="no">'
WITH_TOKENS = b'<meta name="development-tokens" content="yes">'


def web_page(*, development_tokens: bool) -> dict[str, ASGIApp]:
    """The page's files by path; `development_tokens` says whether tokens may be chosen."""
    folder = files("forebay_server.http") / "page"
    contents = {path: folder.joinpath(name).read_bytes() for path, (name, _) in FILES.items()}
    if development_tokens:
        contents[ROOT] = contents[ROOT].replace(WITHOUT_TOKENS, WITH_TOKENS)
    return {path: Page(Reply(200, content, _headers(path))) for path, content in contents.items()}


def _headers(path: str) -> dict[str, str]:
    headers = {"Content-Type": FILES[path][1], "Cache-Control": "no-cache"}
    if path == ROOT:
        headers |= {
            "Content-Security-Policy": CONTENT_SECURITY,
            "Cross-Origin-Opener-Policy": "same-origin",
        }
    return headers
