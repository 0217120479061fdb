"""One line of the audit: a JSON object with OCSF's names (API Activity, class 6003)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from google.protobuf.message import Message

from forebay_kafka.identity import Identity
from forebay_workers.auditing.told import Action, Activity, Told, told_by
from forebay_workers.record_loop.stage import Work

CATEGORY_UID, CATEGORY = 6, "Application Activity"
CLASS_UID, CLASS = 6003, "API Activity"
INFORMATIONAL = 1
SUCCESS, FAILURE = (1, "Success"), (2, "Failure")


@dataclass(frozen=True, slots=True)
class AuditLine:
    """What happened on a day (UTC), as JSON without a line end."""

    day: date
    text: str


def line_of(work: Work[Message]) -> AuditLine:
    """What a record tells of a call, and its envelope of the caller."""
    told = told_by(work)
    time = told.time.ToDatetime(tzinfo=UTC)
    event = {
        "time": told.time.ToMilliseconds(),
        "time_dt": _rfc3339(time),
        **_classified(told.activity),
        **_ended(told),
        "count": told.count,
        "actor": _actor(work.envelope.identity),
        "api": _api(told.method),
        "resources": told.resources,
        "metadata": _metadata(work, told),
        "unmapped": _kept(
            {
                "tier": work.envelope.identity.tier,
                "policy_version": work.envelope.identity.policy_version,
                "transport": told.transport,
                "delivery": told.delivery,
            }
        ),
    }
    return AuditLine(time.date(), json.dumps(_kept(event), separators=(",", ":")))


def _classified(activity: Activity) -> dict[str, Any]:
    return {
        "category_uid": CATEGORY_UID,
        "category_name": CATEGORY,
        "class_uid": CLASS_UID,
        "class_name": CLASS,
        "activity_id": activity.value,
        "activity_name": activity.name.capitalize(),
        "type_uid": CLASS_UID * 100 + activity.value,
        "severity_id": INFORMATIONAL,
    }


def _ended(told: Told) -> dict[str, Any]:
    status_id, status = SUCCESS if told.action is Action.ALLOWED else FAILURE
    return {
        "action_id": told.action.value,
        "action": told.action.name.capitalize(),
        "status_id": status_id,
        "status": status,
        "status_code": told.code,
        "status_detail": told.reason,
    }


def _actor(who: Identity) -> dict[str, Any]:
    if not who.subject:
        return {}
    return _kept(
        {
            "user": {"uid": who.subject, "org": {"uid": who.tenant}},
            "session": {"issuer": who.issuer},
            "invoked_by": who.actor,
        }
    )


def _api(method: str) -> dict[str, Any]:
    service, _, operation = method.rpartition(".")
    return {"operation": operation, "service": {"name": service}} if operation else {}


def _metadata(work: Work[Message], told: Told) -> dict[str, Any]:
    trace = (work.trace_parent or b"").decode(errors="replace").split("-")
    return _kept(
        {
            "uid": told.uid,
            "log_name": work.source.topic,
            "product": {"name": "Forebay", "vendor_name": "Forebay"},
            "correlation_uid": trace[1] if len(trace) > 1 else "",
        }
    )


def _kept(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what says nothing."""
    return {name: value for name, value in fields.items() if value not in (None, "", {}, [])}


def _rfc3339(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
