"""The group that every command hangs from, those of other distributions included."""

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import click

from forebay.client.command.ask import INTERRUPTED, ask
from forebay.client.command.caller import caller
from forebay.client.command.connection import Connection
from forebay.client.command.dead_letters import dead_letters
from forebay.client.command.documents import documents
from forebay.client.command.failure_line import failure_line
from forebay.client.command.pipeline import pipeline
from forebay.client.command.queries import queries
from forebay.client.command.terminal import one_line
from forebay.client.errors import ForebayError

ENTRY_POINTS = "forebay.commands"
_DEFAULT_SERVER = "127.0.0.1:50051"


class RootGroup(click.Group):
    """Finds commands of other distributions by name, and ends every error with one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted({*super().list_commands(ctx), *_added()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; imports the distribution that brings it, and no other."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in _added():
            return own
        return _load(_added()[cmd_name])

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command."""
        try:
            result: object = super().invoke(ctx)
        except ForebayError as error:
            connection = ctx.obj if isinstance(ctx.obj, Connection) else None
            raise click.ClickException(failure_line(error, connection)) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            raise click.ClickException(one_line(str(error))) from error
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        return result


def _added() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _load(point: EntryPoint) -> click.Command:
    try:
        command = point.load()
    except (ImportError, AttributeError) as error:
        return _broken(point, error)
    if not isinstance(command, click.Command):
        return _broken(point, TypeError(f"{point.value} is no command"))
    return command


def _broken(point: EntryPoint, error: Exception) -> click.Command:
    """Stands where a command should: one that cannot be loaded must not hide the others."""

    def fail(_arguments: tuple[str, ...]) -> None:
        raise click.ClickException(f"{point.name} cannot be loaded: {error}") from error

    return click.Command(
        point.name,
        callback=fail,
        params=[click.Argument(["_arguments"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        short_help="(cannot be loaded)",
    )


def _with_port(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if ":" not in value:
        raise click.BadParameter(f"{value!r} names no port: it has the form HOST:PORT")
    return value


@click.group(cls=RootGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="forebay")
@click.option(
    "--server",
    callback=_with_port,
    envvar="FOREBAY_SERVER",
    default=_DEFAULT_SERVER,
    show_default=True,
    show_envvar=True,
    metavar="HOST:PORT",
    help="The server's gRPC address.",
)
@click.option("--token", envvar="FOREBAY_TOKEN", show_envvar=True, help="The bearer token.")
@click.option(
    "--token-file",
    envvar="FOREBAY_TOKEN_FILE",
    show_envvar=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the bearer token; read again for each call.",
)
@click.option(
    "--ca",
    envvar="FOREBAY_CA",
    show_envvar=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Root certificates (PEM) for the server's certificate.",
)
@click.option(
    "--plaintext",
    is_flag=True,
    envvar="FOREBAY_PLAINTEXT",
    help="No TLS. To this machine that is the default; elsewhere the token can be read on the way.",
)
@click.pass_context
def root(
    ctx: click.Context,
    *,
    server: str,
    token: str | None,
    token_file: Path | None,
    ca: Path | None,
    plaintext: bool,
) -> None:
    """Ask questions of your documents, bring documents in, and look after the pipeline.

    Commands that ask a server need a token: --token, --token-file, or FOREBAY_TOKEN. Exit codes:
    0 done, 1 failed (a line says why), 2 misused, 130 interrupted.
    """
    if ca is not None and plaintext:
        raise click.UsageError("--ca and --plaintext exclude each other")
    # Of the two, what the command line says beats what the environment says.
    token_given = ctx.get_parameter_source("token") is click.core.ParameterSource.COMMANDLINE
    ctx.obj = Connection(
        server=server,
        token=token if token_given or token_file is None else None,
        token_file=None if token_given else token_file,
        ca=ca,
        plaintext=plaintext,
    )


for _command in (ask, caller, dead_letters, documents, pipeline, queries):
    root.add_command(_command)


def main() -> None:
    """Runs the command. Exit codes: 0 done, 1 failed, 2 misused, 130 interrupted."""
    root(prog_name="forebay")
