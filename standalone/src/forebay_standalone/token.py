"""`forebay token`: a token of the development issuer, for trying things out."""

import json
import re
from datetime import timedelta
from pathlib import Path

import click

from forebay_standalone.errors import NoDevelopmentKey
from forebay_standalone.issuer import KEY_FILE, SUBJECT, TENANT, DevelopmentIssuer, every_scope
from forebay_standalone.state_folder import STATE_DIR, StateFolder

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Duration(click.ParamType[timedelta]):
    """A duration such as `900s`, `30m` or `1h`."""

    name = "duration"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read a number and a unit."""
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"([1-9]\d*)([smhd])", value)
        if not found:
            self.fail(f"{value!r} is no duration: write 900s, 30m or 1h", param, ctx)
        return timedelta(**{UNITS[found[2]]: int(found[1])})


@click.command()
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=STATE_DIR,
    show_default=True,
    help="Folder of the system that takes the token.",
)
@click.option("--tenant", default=TENANT, show_default=True)
@click.option("--subject", default=SUBJECT, show_default=True)
@click.option("--tier", default="standard", show_default=True)
@click.option("--scope", "scopes", multiple=True, help="May be repeated; all scopes by default.")
@click.option("--group", "groups", multiple=True, help="May be repeated.")
@click.option("--expires-in", type=Duration(), default="1h", show_default=True)
def token(
    state_dir: Path,
    tenant: str,
    subject: str,
    tier: str,
    scopes: tuple[str, ...],
    groups: tuple[str, ...],
    expires_in: timedelta,
) -> None:
    """Print a token of the development issuer, whether `forebay up` runs or not."""
    issuer = issuer_of(StateFolder(state_dir))
    wanted = scopes or every_scope()
    click.echo(issuer.mint(tenant, subject, tier, wanted, groups, expires_in))


def issuer_of(state: StateFolder) -> DevelopmentIssuer:
    """Give the issuer of a state folder; raises NoDevelopmentKey before its first start."""
    issuers = state.path / "issuers.json"
    if not (state.secrets / KEY_FILE).exists() or not issuers.exists():
        raise NoDevelopmentKey(state.path)
    return DevelopmentIssuer(state.secrets, json.loads(issuers.read_text())[0]["issuer"])
