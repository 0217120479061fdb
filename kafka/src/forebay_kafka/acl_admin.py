"""Brings the access rules of a cluster to what the contract says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka.admin import AdminClient

# The public module re-exports these without saying so, which type checkers refuse.
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from forebay_kafka.acl_plan import Grant, Operation, Resource, grants
from forebay_kafka.admin_result import TIMEOUT_SECONDS, result
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import TOPICS

ANY: Any = None  # how a filter leaves a text open, though its types say otherwise
RESOURCES = {ResourceType.TOPIC: Resource.TOPIC, ResourceType.GROUP: Resource.GROUP}
OPERATIONS = {
    AclOperation.READ: Operation.READ,
    AclOperation.WRITE: Operation.WRITE,
    AclOperation.DESCRIBE: Operation.DESCRIBE,
}
NATIVE_RESOURCES = {ours: theirs for theirs, ours in RESOURCES.items()}
NATIVE_OPERATIONS = {ours: theirs for theirs, ours in OPERATIONS.items()}


class AclAdmin:
    """Plans and applies the grants of the stages that have a principal; its calls block."""

    def __init__(self, kafka: KafkaSettings, principals: Mapping[str, str]) -> None:
        self._client = AdminClient({**kafka.client_options()})
        self._principals = principals

    def plan(self) -> list[str]:
        """What differs, a line each. Raises LogUnavailable, TopicsRefused."""
        return _lines(*self._differences())

    def apply(self) -> list[str]:
        """Add what is missing and take away what the contract does not give.

        Returns what was changed, a line each. Raises LogUnavailable, TopicsRefused.
        """
        missing, surplus = self._differences()
        if missing:
            bindings = [_binding(grant) for grant in missing]
            for answer in self._client.create_acls(
                bindings, request_timeout=TIMEOUT_SECONDS
            ).values():
                result(answer)
        if surplus:
            filters = [_exactly(binding) for binding in surplus]
            for answer in self._client.delete_acls(
                filters, request_timeout=TIMEOUT_SECONDS
            ).values():
                result(answer)
        return _lines(missing, surplus)

    def _differences(self) -> tuple[set[Grant], list[AclBinding]]:
        if not self._principals:
            return set(), []
        wanted, found = grants(TOPICS, self._principals), self._found()
        known = {_grant(binding): binding for binding in found}
        missing = set(wanted) - known.keys()
        return missing, [binding for grant, binding in known.items() if grant not in wanted]

    def _found(self) -> list[AclBinding]:
        """All rules of the principals that are ours to manage."""
        everything = AclBindingFilter(
            ResourceType.ANY,
            ANY,
            ResourcePatternType.ANY,
            ANY,
            ANY,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        answer = self._client.describe_acls(everything, request_timeout=TIMEOUT_SECONDS)
        ours = set(self._principals.values())
        return [binding for binding in result(answer) if binding.principal in ours]


def _lines(missing: set[Grant], surplus: list[AclBinding]) -> list[str]:
    return [
        *(f"missing: {grant}" for grant in sorted(map(str, missing))),
        *(f"surplus: {binding}" for binding in sorted(map(_line, surplus))),
    ]


def _binding(grant: Grant) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if grant.prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        NATIVE_RESOURCES[grant.resource],
        grant.name,
        pattern,
        grant.principal,
        "*",
        NATIVE_OPERATIONS[grant.operation],
        AclPermissionType.ALLOW,
    )


def _grant(binding: Any) -> Grant | str:  # noqa: ANN401 its fields are enums, typed as less
    """The rule as a grant; as a line where it is of a kind that is never granted."""
    resource, operation = RESOURCES.get(binding.restype), OPERATIONS.get(binding.operation)
    usual = binding.host == "*" and binding.permission_type == AclPermissionType.ALLOW
    if resource is None or operation is None or not usual:
        return _line(binding)
    prefixed = binding.resource_pattern_type == ResourcePatternType.PREFIXED
    return Grant(binding.principal, resource, binding.name, operation, prefixed)


def _exactly(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _line(binding: Any) -> str:  # noqa: ANN401 see _grant
    permission = binding.permission_type.name.lower()
    what = f"{binding.operation.name.lower()} {binding.restype.name.lower()} {binding.name}"
    return f"{binding.principal} {permission} {what} from {binding.host}"
