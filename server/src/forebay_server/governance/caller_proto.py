"""A caller as the contract shows it."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from forebay.query.v1 import Caller as CallerMessage
from forebay_server.errors import scope_word
from forebay_server.governance.caller import Caller


def caller_message(caller: Caller) -> CallerMessage:
    """What GetCaller answers."""
    generation = caller.limits.generation
    return CallerMessage(
        issuer=caller.issuer,
        tenant=caller.tenant,
        subject=caller.subject,
        tier=caller.tier,
        clearance=caller.clearance,
        groups=caller.groups,
        scopes=sorted(scope_word(scope) for scope in caller.scopes),
        expire_time=Timestamp(seconds=int(caller.expire_time)),
        limits=CallerMessage.Limits(
            top_k=caller.limits.top_k,
            model=generation.model,
            output_tokens=generation.output_tokens,
            context_tokens=generation.context_tokens,
        ),
        policy_version=caller.policy_version,
        shared_collections=sorted(f"collections/{grant.alias}" for grant in caller.grants),
    )
