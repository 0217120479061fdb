"""What a method asks of its caller, as the contract's method options say it."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from forebay.policy.v1 import MethodPolicy, Scope, method
from forebay_server.errors import MethodUnknown, ScopeMissing


class MethodWithoutPolicy(Exception):
    """The contract names nobody who may call a method."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has no policy that admits anybody")


class MethodPolicies:
    """The policies of all served methods; one without a policy is refused at start."""

    def __init__(self, services: Iterable[ServiceDescriptor]) -> None:
        self._policies = {
            method_path(served): _policy(served)
            for service in services
            for served in service.methods
        }

    def authorise(self, path: str, scopes: frozenset[Scope.ValueType]) -> None:
        """Raise ScopeMissing unless the method at `/package.Service/Method` admits these scopes."""
        policy = self._policies.get(path)
        if policy is None:
            raise MethodUnknown
        if policy.WhichOneof("admits") == "scope" and policy.scope not in scopes:
            raise ScopeMissing(policy.scope)


def method_path(served: MethodDescriptor) -> str:
    """`/package.Service/Method`, as gRPC spells it on the wire."""
    return f"/{served.containing_service.full_name}/{served.name}"


def _policy(served: MethodDescriptor) -> MethodPolicy:
    policy = served.GetOptions().Extensions[method]
    admits = policy.any_caller or policy.scope != Scope.SCOPE_UNSPECIFIED
    if not admits:
        raise MethodWithoutPolicy(served.full_name)
    return policy
