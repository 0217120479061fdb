"""Collections that policy shares: read-only, and one step far.

```yaml
shared:
  - owner: vendor
    collection: manuals
    alias: vendor-manuals     # its name where it is received; nothing else may have it there
    tenants: [acme, globex]
```
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated

from pydantic import Field
from pydantic_core import PydanticCustomError

from forebay_kafka.identity import Grant
from forebay_server.errors import CollectionReadOnly
from forebay_server.governance.configuration_file import StrictModel

MAX_RECEIVED = 16  # of one tenant: they ride in the envelope of a question that names none
DEFAULT_COLLECTION = "default"  # where clients write that name no collection

TenantId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,63}$")]
CollectionId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,63}$")]


class Share(StrictModel):
    """One collection that its owner lets other tenants read, each by its own clearance."""

    owner: TenantId = Field(description="The tenant whose collection it is.")
    collection: CollectionId = Field(description="Its name there.")
    alias: CollectionId = Field(
        description="Its name in the receiving tenants, where it hides an own collection."
    )
    tenants: list[TenantId] = Field(min_length=1, description="Who may read it.")


def require_sound(shares: Sequence[Share]) -> None:
    """Raise PydanticCustomError for a share that gives a name two meanings, or none."""
    aliases = {(tenant, share.alias) for share in shares for tenant in share.tenants}
    for index, share in enumerate(shares):
        for field, rule in _broken(share, aliases):
            raise _error(index, field, rule)
    _require_single(shares)


def grants_by_tenant(shares: Sequence[Share]) -> Mapping[str, tuple[Grant, ...]]:
    """What each receiving tenant may read of others."""
    received: defaultdict[str, list[Grant]] = defaultdict(list)
    for share in shares:
        for tenant in share.tenants:
            received[tenant].append(Grant(share.alias, share.owner, share.collection))
    return MappingProxyType({tenant: tuple(grants) for tenant, grants in received.items()})


def require_own(grants: Sequence[Grant], name: str) -> None:
    """Raise CollectionReadOnly where `collections/{collection}/…` is the alias of a grant."""
    collection = name.split("/")[1]
    if any(grant.alias == collection for grant in grants):
        raise CollectionReadOnly(collection)


def searched(grants: tuple[Grant, ...], collections: Sequence[str]) -> tuple[Grant, ...]:
    """The grants that a question searches: those that it names, all when it names nothing."""
    if not collections:
        return grants
    return tuple(grant for grant in grants if f"collections/{grant.alias}" in collections)


def _broken(share: Share, aliases: set[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    if share.owner in share.tenants:
        yield "tenants", "a tenant shares nothing with itself"
    if share.alias == DEFAULT_COLLECTION:
        yield "alias", "that name is needed for what clients bring in without a name"
    if (share.owner, share.collection) in aliases:
        yield "collection", "it is shared with its owner already, and sharing goes one step"


def _require_single(shares: Sequence[Share]) -> None:
    names: set[tuple[str, str]] = set()
    sources: set[tuple[str, str, str]] = set()
    counts: defaultdict[str, int] = defaultdict(int)
    for index, share in enumerate(shares):
        for tenant in share.tenants:
            name, source = (tenant, share.alias), (tenant, share.owner, share.collection)
            if name in names:
                raise _error(index, "alias", "a receiving tenant has that alias already")
            if source in sources:
                raise _error(index, "tenants", "a tenant receives that collection already")
            names.add(name)
            sources.add(source)
            counts[tenant] += 1
            if counts[tenant] > MAX_RECEIVED:
                raise _error(index, "tenants", f"a tenant receives at most {MAX_RECEIVED}")


def _error(index: int, field: str, rule: str) -> PydanticCustomError:
    return PydanticCustomError("share_unsound", rule, {"place": ("shared", index, field)})
