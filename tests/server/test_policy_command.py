import argparse
import json
from pathlib import Path

import pytest

from forebay_kafka.watched_file import ConfigurationInvalid
from forebay_server.composition import INGEST_SERVICE, QUERY_SERVICE
from forebay_server.governance.policy_command import (
    FILE_VARIABLE,
    add_policy_arguments,
    run_policy,
    schema_text,
)
from forebay_server.governance.policy_file import PolicyFile

POLICY = """\
tiers:
  free: {clearance: PUBLIC}
  standard: {clearance: INTERNAL}
tenants:
  acme: {tiers: {standard: {clearance: CONFIDENTIAL, top_k: 30, model: large}}}
"""
SHARED = """\
shared:
  - {owner: vendor, collection: manuals, alias: vendor-manuals, tenants: [acme, globex]}
"""
SCHEMA = Path(__file__).parents[2] / "docs/policy.schema.json"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    monkeypatch.setenv(FILE_VARIABLE, str(path))
    return path


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_policy_arguments(parser)
    return run_policy(parser.parse_args(arguments), [QUERY_SERVICE, INGEST_SERVICE])


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    code = run("explain", *arguments)
    return code, capsys.readouterr().out.splitlines()


def test_a_good_file_is_said_to_be_good(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", str(path)) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{path}: good, version ")
    assert said.endswith(", 2 tiers, 1 tenants of own, 0 shares received\n")


def test_a_bad_file_is_refused_by_line_field_and_rule(path: Path) -> None:
    path.write_text(POLICY.replace("PUBLIC", "SECRET"))
    with pytest.raises(ConfigurationInvalid, match=r"policy\.yaml:2: tiers\.free\.clearance: "):
        run("check", str(path))


ALLOWED, REFUSED = 0, 1


@pytest.mark.parametrize(
    ("asked", "code", "reason"),
    [
        ("--as globex/free --document PUBLIC", ALLOWED, "clearance PUBLIC covers visibility"),
        ("--as globex/free --document INTERNAL", REFUSED, "clearance PUBLIC does not cover"),
        ("--as globex/standard --document CONFIDENTIAL", REFUSED, "INTERNAL does not cover"),
        ("--as acme/standard --document CONFIDENTIAL", ALLOWED, "CONFIDENTIAL covers"),
        ("--as acme/standard --document PUBLIC --reader hr", REFUSED, "none of the caller's"),
        (
            "--as acme/standard --group ops --group hr --document PUBLIC --reader hr",
            ALLOWED,
            "among its readers: hr",
        ),
        ("--as acme/standard --document PUBLIC --owner globex", REFUSED, "of another tenant"),
        ("--as acme/gold --document PUBLIC", REFUSED, "the policy has no such tier"),
        ("--as acme/gold --method SubmitQuery", REFUSED, "the policy has no such tier"),
        ("--as acme/free --method SubmitQuery", REFUSED, "the method needs the scope `ask`"),
        ("--as acme/free --scope ingest --method SubmitQuery", REFUSED, "needs the scope `ask`"),
        ("--as acme/free --scope ask --method SubmitQuery", ALLOWED, "/SubmitQuery admits"),
        ("--as acme/free --scope ask --method QueryService/Ask", ALLOWED, "/Ask admits"),
        (
            "--as acme/free --scope ask --method /forebay.query.v1.QueryService/Ask",
            ALLOWED,
            "/Ask admits",
        ),
        ("--as acme/free --method GetCaller", ALLOWED, "/GetCaller admits"),
        ("--as acme/free --method Guess", REFUSED, "no such method"),
        ("--as acme/free --method Query", REFUSED, "no such method"),
    ],
)
def test_a_policy_is_explained_with_its_reason(
    path: Path, capsys: pytest.CaptureFixture[str], asked: str, code: int, reason: str
) -> None:
    found, lines = explained(capsys, *asked.split())
    assert found == code
    assert reason in "\n".join(lines[:-1])
    assert lines[-1] == ("allowed" if code == ALLOWED else "refused")


@pytest.mark.parametrize(
    ("asked", "code", "reason"),
    [
        ("acme/free --owner vendor --collection manuals", ALLOWED, "with the caller as vendor-man"),
        ("acme/free --owner vendor", REFUSED, "of another tenant: vendor"),
        ("initech/free --owner vendor --collection manuals", REFUSED, "of another tenant: vendor"),
        ("vendor/free --owner globex --collection manuals", REFUSED, "of another tenant: globex"),
        ("vendor/free --collection manuals", ALLOWED, "the document is the caller's tenant's"),
        ("acme/free --collection vendor-manuals", REFUSED, "hidden behind what vendor shares"),
        (
            "acme/free --owner vendor --collection manuals --reader ops --group ops",
            REFUSED,
            "its readers are groups of its own tenant",
        ),
    ],
)
def test_what_is_shared_is_explained_with_its_alias(
    path: Path, capsys: pytest.CaptureFixture[str], asked: str, code: int, reason: str
) -> None:
    path.write_text(POLICY + SHARED)
    found, lines = explained(capsys, "--document", "PUBLIC", "--as", *asked.split())
    assert found == code
    assert reason in "\n".join(lines[:-1])
    run("check", str(path))
    assert capsys.readouterr().out.endswith(", 2 shares received\n")


def test_what_a_tenant_has_of_its_own_is_said(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, lines = explained(capsys, "--as", "acme/standard", "--document", "PUBLIC")
    assert "tier standard as acme has it: clearance CONFIDENTIAL, 30 passages" in lines[0]
    assert "model large" in lines[0]
    _, lines = explained(capsys, "--as", "globex/standard", "--document", "PUBLIC")
    assert "tier standard: clearance INTERNAL, 10 passages, model of the workers" in lines[0]


def test_another_file_may_be_explained_before_it_counts(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text("tiers: {gold: {clearance: PUBLIC}}")
    code, _ = explained(capsys, "--file", str(draft), "--as", "a/gold", "--document", "PUBLIC")
    assert code == ALLOWED


def test_without_a_file_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    with pytest.raises(ConfigurationInvalid, match=FILE_VARIABLE):
        run("explain", "--as", "a/free", "--document", "PUBLIC")


@pytest.mark.parametrize(
    "asked",
    [
        "explain --document PUBLIC",
        "explain --as acme --document PUBLIC",
        "explain --as /free --document PUBLIC",
        "explain --as acme/free",
        "explain --as acme/free --document PUBLIC --method Ask",
        "explain --as acme/free --document SECRET",
        "explain --as acme/free --scope guess --method Ask",
        "check",
        "",
    ],
)
def test_a_question_that_makes_no_sense_is_refused(path: Path, asked: str) -> None:
    with pytest.raises(SystemExit) as refused:
        run(*asked.split())
    assert refused.value.code == 2


def test_the_published_schema_is_that_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("schema") == 0
    assert capsys.readouterr().out == schema_text() == SCHEMA.read_text()


def test_the_schema_knows_every_field_and_admits_no_other() -> None:
    schema = json.loads(schema_text())
    assert set(schema["properties"]) == set(PolicyFile.model_fields)
    objects = [schema, *(part for part in schema["$defs"].values() if part["type"] == "object")]
    assert len(objects) == 6
    assert all(part["additionalProperties"] is False for part in objects)
    assert schema["properties"]["tenants"]["additionalProperties"] is False
    changes, rules = schema["$defs"]["TierChanges"], schema["$defs"]["TierRules"]
    assert changes["properties"].keys() == rules["properties"].keys()
    assert (rules["required"], changes.get("required")) == (["clearance"], None)
