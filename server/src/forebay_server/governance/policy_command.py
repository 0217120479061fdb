"""`forebay-server policy`: whether a policy is good, what it means, and its JSON Schema.

```
forebay-server policy check policy.yaml
forebay-server policy explain --as acme/standard --document INTERNAL --reader ops
forebay-server policy explain --as acme/free --document PUBLIC --owner vendor --collection manuals
forebay-server policy explain --as acme/standard --scope ask --method SubmitQuery
forebay-server policy schema
```

Exit codes: 0 good or allowed, 1 refused; a bad file is ConfigurationInvalid.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from pathlib import Path

from google.protobuf.descriptor import ServiceDescriptor

from forebay.policy.v1 import Visibility
from forebay_kafka.watched_file import ConfigurationInvalid
from forebay_server.governance.claims import SCOPES
from forebay_server.governance.policy import Policy
from forebay_server.governance.policy_explanation import (
    Explanation,
    Somebody,
    SomeDocument,
    explain_document,
    explain_method,
)
from forebay_server.governance.policy_file import Clearance, policy_schema
from forebay_server.governance.shares import DEFAULT_COLLECTION

FILE_VARIABLE = "FOREBAY_POLICY_FILE"  # what the edge itself reads


def add_policy_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `check`, `explain` and `schema` on the parser of `policy`."""
    actions = parser.add_subparsers(dest="action", required=True)
    check = actions.add_parser("check", help="exit 0 when the edge would take the file")
    check.add_argument("file", type=Path)
    explain = actions.add_parser("explain", help="what the policy means for a caller, and why")
    explain.add_argument("--file", type=Path, help=f"instead of {FILE_VARIABLE}")
    explain.add_argument("--as", dest="caller", metavar="TENANT/TIER", type=_caller, required=True)
    explain.add_argument("--group", dest="groups", action="append", default=[])
    explain.add_argument("--scope", dest="scopes", action="append", default=[], choices=SCOPES)
    explain.add_argument("--reader", dest="readers", action="append", default=[])
    explain.add_argument("--owner", metavar="TENANT", help="of the document; else the caller's")
    explain.add_argument("--collection", default=DEFAULT_COLLECTION, help="as its owner calls it")
    subject = explain.add_mutually_exclusive_group(required=True)
    subject.add_argument("--document", metavar="VISIBILITY", choices=list(Clearance))
    subject.add_argument("--method", help="as SubmitQuery, or QueryService/SubmitQuery")
    actions.add_parser("schema", help="print the JSON Schema of the policy file")


def run_policy(arguments: argparse.Namespace, services: Iterable[ServiceDescriptor]) -> int:
    """Do it and print the outcome; the exit code. Raises ConfigurationInvalid for a bad file."""
    if arguments.action == "schema":
        print(schema_text(), end="")  # noqa: T201 a command speaks
        return 0
    if arguments.action == "check":
        print(f"{arguments.file}: {checked(arguments.file)}")  # noqa: T201 a command speaks
        return 0
    found = _explained(arguments, services)
    print("\n".join([*found.reasons, "allowed" if found.allowed else "refused"]))  # noqa: T201
    return 0 if found.allowed else 1


def schema_text() -> str:
    """The published JSON Schema, as the repository keeps it."""
    return f"{json.dumps(policy_schema(), indent=2, sort_keys=True)}\n"


def checked(path: Path) -> str:
    """What a good policy holds; ConfigurationInvalid names lines, fields and rules of a bad one."""
    policy = Policy.from_file(path)
    tenants = len({tenant for tenant, _ in policy.changed})
    sharing = sum(map(len, policy.shared.values()))
    return (
        f"good, version {policy.version}, {len(policy.tiers)} tiers, {tenants} tenants of own, "
        f"{sharing} shares received"
    )


def _explained(arguments: argparse.Namespace, services: Iterable[ServiceDescriptor]) -> Explanation:
    policy = Policy.from_file(_file(arguments.file))
    tenant, tier = arguments.caller
    scopes = frozenset(SCOPES[word] for word in arguments.scopes)
    caller = Somebody(tenant, tier, frozenset(arguments.groups), scopes)
    if arguments.method:
        return explain_method(policy, caller, arguments.method, services)
    visibility = Visibility.Value(f"VISIBILITY_{arguments.document}")
    owner = arguments.owner or tenant
    readers = frozenset(arguments.readers)
    document = SomeDocument(owner, visibility, readers, arguments.collection)
    return explain_document(policy, caller, document)


def _file(named: Path | None) -> Path:
    path = named or os.environ.get(FILE_VARIABLE)
    if path is None:
        raise ConfigurationInvalid(f"{FILE_VARIABLE}: Field required, or --file")
    return Path(path)


def _caller(text: str) -> tuple[str, str]:
    tenant, slash, tier = text.partition("/")
    if not (tenant and slash and tier):
        raise argparse.ArgumentTypeError("must be TENANT/TIER")
    return tenant, tier
