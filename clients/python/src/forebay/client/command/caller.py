"""`forebay caller`."""

import click
from google.protobuf.json_format import MessageToJson

from forebay.client.command.connection import Connection
from forebay.client.command.terminal import one_line
from forebay.policy.v1 import Visibility
from forebay.query.v1 import Caller


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def caller(connection: Connection, *, as_json: bool) -> None:
    """Show who the server takes you for and what you may do."""
    with connection.open() as client:
        found = client.caller()
    if as_json:
        click.echo(MessageToJson(found, indent=None))
        return
    for name, value in _lines(found):
        click.echo(f"{name:<10} {one_line(value)}")


def _lines(found: Caller) -> list[tuple[str, str]]:
    limits = found.limits
    return [
        ("subject", found.subject),
        ("tenant", found.tenant),
        ("issuer", found.issuer),
        ("tier", found.tier),
        ("clearance", Visibility.Name(found.clearance).removeprefix("VISIBILITY_").lower()),
        ("groups", ", ".join(found.groups) or "none"),
        ("scopes", ", ".join(found.scopes) or "none"),
        ("shared", ", ".join(map(_id, found.shared_collections)) or "none"),
        ("token ends", found.expire_time.ToJsonString()),
        ("passages", f"up to {limits.top_k}"),
        ("answers", f"up to {limits.output_tokens} tokens by {limits.model or 'any model'}"),
        ("policy", found.policy_version),
    ]


def _id(collection: str) -> str:
    return collection.removeprefix("collections/")
