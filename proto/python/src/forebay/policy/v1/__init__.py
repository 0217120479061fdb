"""Everything in the proto package `forebay.policy.v1`. Generated; do not edit."""

from .visibility_pb2 import Visibility
from .method_policy_pb2 import MethodPolicy, Scope, method

__all__ = [
    "MethodPolicy",
    "Scope",
    "Visibility",
    "method",
]
