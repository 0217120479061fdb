"""Every method says over which path it is called, and who may call it."""

from google.api.annotations_pb2 import http
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor

from forebay.policy.v1 import Scope, method


def methods(files: list[FileDescriptor]) -> list[MethodDescriptor]:
    return [
        each
        for file in files
        for service in file.services_by_name.values()
        for each in service.methods
    ]


def test_every_method_but_a_client_stream_has_a_path(public_files: list[FileDescriptor]) -> None:
    for each in methods(public_files):
        has_path = each.GetOptions().HasExtension(http)
        assert has_path != each.client_streaming, each.full_name


def test_no_two_methods_share_verb_and_path(public_files: list[FileDescriptor]) -> None:
    rules = [each.GetOptions().Extensions[http] for each in methods(public_files)]
    paths = [
        (rule.WhichOneof("pattern"), getattr(rule, str(rule.WhichOneof("pattern"))))
        for rule in rules
        if rule.WhichOneof("pattern")
    ]
    assert len(set(paths)) == len(paths)


def test_every_method_says_who_may_call_it(public_files: list[FileDescriptor]) -> None:
    for each in methods(public_files):
        policy = each.GetOptions().Extensions[method]
        admits = policy.WhichOneof("admits")
        assert admits is not None, each.full_name
        assert policy.any_caller or policy.scope != Scope.SCOPE_UNSPECIFIED, each.full_name


def test_no_request_names_a_tenant_or_a_subject(public_files: list[FileDescriptor]) -> None:
    forbidden = {"tenant", "subject", "issuer", "tier", "clearance", "groups", "user", "owner"}
    for each in methods(public_files):
        assert not forbidden & set(each.input_type.fields_by_name), each.full_name


def test_only_reading_methods_are_called_by_get(public_files: list[FileDescriptor]) -> None:
    reading = ("Get", "List", "Stream", "Watch")
    for each in methods(public_files):
        rule = each.GetOptions().Extensions[http]
        if rule.get:
            assert each.name.startswith(reading), each.full_name
            assert not rule.body, each.full_name
