import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner

from forebay_standalone.child import ChildProcess, Launch
from forebay_standalone.errors import NotThisMachine
from forebay_standalone.installation import install
from forebay_standalone.issuer import KEY_FILE, DevelopmentIssuer, every_scope
from forebay_standalone.ports import free_port
from forebay_standalone.programs import issuer_program
from forebay_standalone.running_program import RunningProgram
from forebay_standalone.state_folder import StateFolder
from forebay_standalone.token import token

URL = "http://127.0.0.1:8080"


@pytest.fixture
def state(folder: Path) -> Iterator[StateFolder]:
    state = StateFolder(folder / "state")
    state.acquire()
    yield state
    state.release()


@pytest.fixture
def served(state: StateFolder) -> Iterator[DevelopmentIssuer]:
    port = free_port()
    program = RunningProgram(issuer_program(state, port), state.logs, {})
    program.start()
    try:
        program.wait_ready(20)
        yield DevelopmentIssuer(state.secrets, f"http://127.0.0.1:{port}")
    finally:
        program.stop(10)


def test_a_token_verifies_against_the_served_keys(served: DevelopmentIssuer) -> None:
    signed = served.mint("acme", "ada", "standard", ["ask"], ["staff"], timedelta(minutes=5))
    key = jwt.PyJWKClient(served.jwks_url).get_signing_key_from_jwt(signed)
    claims = jwt.decode(signed, key, ["ES256"], audience="forebay", issuer=served.issuer_url)
    assert claims["exp"] - claims["iat"] == 300
    assert {name: claims[name] for name in ("sub", "tenant", "tier", "scope", "groups")} == {
        "sub": "ada",
        "tenant": "acme",
        "tier": "standard",
        "scope": "ask",
        "groups": ["staff"],
    }
    assert jwt.get_unverified_header(signed)["typ"] == "at+jwt"


def test_the_served_keys_hold_no_private_half(served: DevelopmentIssuer) -> None:
    [key] = jwt.PyJWKClient(served.jwks_url).fetch_data()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


def test_the_key_is_made_once_and_readable_by_us_alone(folder: Path) -> None:
    first = DevelopmentIssuer(folder, URL).jwks()
    assert DevelopmentIssuer(folder, URL).jwks() == first
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "url", ["http://0.0.0.0:8080", "http://10.1.2.3:8080", "https://issuer.example", "nonsense"]
)
def test_an_address_beyond_this_machine_is_refused(folder: Path, url: str) -> None:
    with pytest.raises(NotThisMachine):
        DevelopmentIssuer(folder, url)
    assert not (folder / KEY_FILE).exists()


def test_the_server_listens_on_no_address_beyond_this_machine(state: StateFolder) -> None:
    *command, _, port = issuer_program(state, free_port()).command
    child = ChildProcess(Launch("issuer", [*command, "0.0.0.0", port], state.logs / "issuer.log"))  # noqa: S104
    child.start()
    assert child.wait(20) != 0
    assert "0.0.0.0 is not a loopback address" in child.launch.log.read_text()


def test_the_command_prints_a_token_and_nothing_else(state: StateFolder) -> None:
    issuer = DevelopmentIssuer(state.secrets, URL)
    install(state, issuer)
    options = ["--state-dir", str(state.path), "--tenant", "acme", "--subject", "ada"]
    done = CliRunner().invoke(
        token, [*options, "--group", "a", "--group", "b", "--expires-in", "2m"]
    )
    key = jwt.PyJWKSet.from_dict(issuer.jwks()).keys[0]
    claims = jwt.decode(done.output.strip(), key, ["ES256"], audience="forebay", issuer=URL)
    assert claims["groups"] == ["a", "b"]
    assert claims["scope"].split() == every_scope()
    assert claims["exp"] - claims["iat"] == 120


def test_the_command_names_a_folder_that_never_started(folder: Path) -> None:
    done = CliRunner().invoke(token, ["--state-dir", str(folder)])
    assert done.exit_code == 1
    assert f"no issuer key in {folder}" in done.output


def test_the_command_explains_how_a_duration_is_written(folder: Path) -> None:
    done = CliRunner().invoke(token, ["--state-dir", str(folder), "--expires-in", "soon"])
    assert done.exit_code == 2
    assert "write 900s, 30m or 1h" in done.output
