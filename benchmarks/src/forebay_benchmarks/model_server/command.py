"""`forebay-model-server`: the misbehaving model server as a program."""

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, get_args

import click
import uvicorn
from pydantic import ValidationError

from forebay_benchmarks.model_server.application import application
from forebay_benchmarks.model_server.behaviour import Behaviour, Kind
from forebay_benchmarks.model_server.vectors import HashedVectors, VectorMaker, WordllamaVectors

_BACKLOG = 2048  # connections that may wait while hundreds arrive at once
_CHOICES = {
    "hang": ("never", "before", "midway"),
    "malformed": ("never", "json", "shape"),
    "vectors": ("sound", "short", "nan", "zero", "missing", "reversed"),
}


def _behaviour_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add one option per field of `Behaviour`, with its description as help."""
    for name, field in reversed(Behaviour.model_fields.items()):
        option: dict[str, Any] = {"default": field.default, "show_default": True}
        if name == "kinds":
            option |= {"type": click.Choice(get_args(Kind)), "multiple": True}
        elif name in _CHOICES:
            option |= {"type": click.Choice(_CHOICES[name])}
        elif isinstance(field.default, bool):
            option |= {"type": bool}
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, name, help=field.description, **option)(command)
    return command


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8099, show_default=True, help="Port to listen on; 0: any free.")
@click.option("--fd", default=-1, help="Listen on this inherited socket instead.", hidden=True)
@click.option(
    "--until-stdin-closes", is_flag=True, help="Leave when standard input ends, as a child should."
)
@click.option("--dimensions", default=256, show_default=True, help="Length of hashed vectors.")
@click.option(
    "--embeddings",
    type=click.Choice(["hashed", "wordllama"]),
    default="hashed",
    show_default=True,
    help="Where vectors come from.",
)
@_behaviour_options
def main(
    *,
    host: str,
    port: int,
    fd: int,
    until_stdin_closes: bool,
    dimensions: int,
    embeddings: str,
    **behaviour: object,
) -> None:
    """Serve OpenAI's /v1/embeddings, /v1/chat/completions and /v1/models, badly on request.

    The behaviour can be replaced while the server runs: PUT /control takes the options below as
    JSON, with underscores. GET /control/calls tells what was asked, DELETE forgets it.
    """
    try:
        wanted = Behaviour.model_validate(behaviour)
    except ValidationError as error:
        raise click.UsageError(str(error)) from error
    maker: VectorMaker = (
        WordllamaVectors() if embeddings == "wordllama" else HashedVectors(dimensions)
    )
    listener = socket.socket(fileno=fd) if fd >= 0 else _listen(host, port)
    click.echo(f"listening on http://{host}:{listener.getsockname()[1]}/v1", err=True)
    asyncio.run(_serve(wanted, maker, listener, until_stdin_closes=until_stdin_closes))


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    return listener


async def _serve(
    behaviour: Behaviour, maker: VectorMaker, listener: socket.socket, *, until_stdin_closes: bool
) -> None:
    config = uvicorn.Config(
        application(behaviour, maker),
        log_level="critical",  # a cut stream is an exception by design
        access_log=False,
        lifespan="off",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    if until_stdin_closes:
        threading.Thread(target=_leave_with_parent, daemon=True).start()
    await server.serve(sockets=[listener])


def _leave_with_parent() -> None:
    """Wait for the parent to close the pipe, or to die, which closes it as well."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
