"""What the contract's method options admit; a method that says nothing admits nobody."""

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import ErrorInfo

from forebay.policy.v1 import MethodPolicy, Scope, method
from forebay_server.errors import MethodUnknown, ScopeMissing, scope_word
from forebay_server.failures import failure_of
from forebay_server.governance.authorisation import MethodPolicies, MethodWithoutPolicy

from .calls import details_of

PATH = "/test.Service/Method"
SCOPES = [scope for scope in Scope.values() if scope != Scope.SCOPE_UNSPECIFIED]


def service(policy: MethodPolicy | None) -> ServiceDescriptor:
    """A service of one method with this policy."""
    file = FileDescriptorProto(name="test.proto", package="test")
    file.message_type.add(name="Message")
    served = file.service.add(name="Service").method.add(
        name="Method", input_type=".test.Message", output_type=".test.Message"
    )
    if policy is not None:
        served.options.Extensions[method].CopyFrom(policy)
    pool = DescriptorPool()
    pool.Add(file)
    return pool.FindServiceByName("test.Service")


@pytest.mark.parametrize(
    "policy",
    [
        None,
        MethodPolicy(),
        MethodPolicy(any_caller=False),
        MethodPolicy(scope=Scope.SCOPE_UNSPECIFIED),
    ],
    ids=["none", "empty", "any caller: no", "no scope"],
)
def test_a_method_whose_policy_admits_nobody_keeps_the_edge_from_starting(
    policy: MethodPolicy | None,
) -> None:
    with pytest.raises(MethodWithoutPolicy, match=r"test\.Service\.Method"):
        MethodPolicies([service(policy)])


@pytest.mark.parametrize("needed", SCOPES, ids=scope_word)
def test_a_method_admits_its_own_scope_and_no_other(needed: Scope.ValueType) -> None:
    policies = MethodPolicies([service(MethodPolicy(scope=needed))])
    policies.authorise(PATH, frozenset({needed}))
    for held in (frozenset[Scope.ValueType](), frozenset(SCOPES) - {needed}):
        with pytest.raises(ScopeMissing) as refused:
            policies.authorise(PATH, held)
        status = failure_of(refused.value)
        [info] = details_of(status, ErrorInfo)
        assert status.code == code_pb2.PERMISSION_DENIED
        assert info.reason == "SCOPE_MISSING"
        assert dict(info.metadata) == {"scope": scope_word(needed)}


def test_a_method_for_every_caller_needs_no_scope() -> None:
    MethodPolicies([service(MethodPolicy(any_caller=True))]).authorise(PATH, frozenset())


@pytest.mark.parametrize("path", ["/test.Service/Other", "/test.Service/method", "", PATH[1:]])
def test_a_method_that_no_policy_knows_is_refused(path: str) -> None:
    policies = MethodPolicies([service(MethodPolicy(any_caller=True))])
    with pytest.raises(MethodUnknown):
        policies.authorise(path, frozenset(SCOPES))
