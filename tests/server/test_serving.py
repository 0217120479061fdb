"""Edges as they are run: processes with an environment, signals and exit codes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from forebay.query.v1 import (
    AskRequest,
    GetCallerRequest,
    QueryServiceStub,
    SubmitQueryRequest,
)
from forebay_kafka.settings import KafkaSettings

from .calls import bearer, details_of, reason_of, status_of
from .conftest import Installation, free_port
from .keys import ec_key

SERVING = HealthCheckResponse.SERVING


@pytest.fixture
def environment(installation: Installation, kafka: KafkaSettings) -> dict[str, str]:
    settings = installation.settings
    files = {
        f"FOREBAY_{name.upper()}": str(getattr(settings, name))
        for name in type(settings).model_fields
        if name.endswith("_file") and getattr(settings, name)
    }
    return {
        **os.environ,
        **files,
        "FOREBAY_GRPC_ADDRESS": f"127.0.0.1:{free_port()}",
        "FOREBAY_DRAIN_TIMEOUT": "1",
        "FOREBAY_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "FOREBAY_POSTGRES_RETRIEVE_DSN": "postgresql://nobody@127.0.0.1:1/none",
    }


@contextmanager
def started(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "forebay_server", "serve"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
        assert process.stderr is not None
        process.stderr.close()


def next_log(process: subprocess.Popen[str], message: str) -> dict[str, object]:
    """The next line of the log with that message."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("{") and (entry := json.loads(line))["message"] == message:
            return dict(entry)
    raise AssertionError(f"ended without saying {message!r}")


def refusal(environment: dict[str, str]) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "forebay_server", "serve"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stderr


def test_an_edge_serves_health_and_reflection_and_leaves_when_told(
    environment: dict[str, str], installation: Installation
) -> None:
    with started(environment) as process:
        next_log(process, "serving")
        with grpc.insecure_channel(environment["FOREBAY_GRPC_ADDRESS"]) as channel:
            for service in (
                "",
                "forebay.query.v1.QueryService",
                "forebay.ingest.v1.IngestService",
                "forebay.pipeline.v1.PipelineService",
            ):
                health = HealthStub(channel).Check(HealthCheckRequest(service=service), timeout=5)
                assert health.status == SERVING
            services = ProtoReflectionDescriptorDatabase(channel).get_services()
            assert "forebay.ingest.v1.IngestService" in services
            assert "forebay.pipeline.v1.PipelineService" in services
            metadata = bearer(installation.token())
            caller = QueryServiceStub(channel).GetCaller(GetCallerRequest(), metadata=metadata)
            assert caller.tenant == "acme"

            watch = HealthStub(channel).Watch(HealthCheckRequest(), timeout=30)
            assert next(watch).status == SERVING
            process.send_signal(signal.SIGTERM)
            assert next(watch).status == HealthCheckResponse.NOT_SERVING
            assert process.wait(30) == 0


def test_a_stream_that_outlives_the_drain_is_sent_elsewhere(
    environment: dict[str, str], installation: Installation
) -> None:
    with started(environment) as process:
        next_log(process, "serving")
        with grpc.insecure_channel(environment["FOREBAY_GRPC_ADDRESS"]) as channel:
            question = AskRequest(query=SubmitQueryRequest(text="Which valve?"))
            metadata = bearer(installation.token())
            # Nobody answers here: the stream stays open until the query's deadline, a minute.
            answer = QueryServiceStub(channel).Ask(question, metadata=metadata)
            assert next(answer).HasField("accepted")
            process.send_signal(signal.SIGTERM)
            with pytest.raises(grpc.RpcError) as ended:
                list(answer)
            status = status_of(ended.value)
            assert (status.code, reason_of(status)) == (14, "SERVER_DRAINING")
            assert details_of(status, RetryInfo)
            assert process.wait(30) == 0


def test_tls_is_served_by_configuration(
    environment: dict[str, str], installation: Installation, tmp_path: Path
) -> None:
    key = ec_key()
    certificate = self_signed(key)
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    tls = {
        "FOREBAY_TLS_CERTIFICATE_FILE": str(tmp_path / "cert.pem"),
        "FOREBAY_TLS_KEY_FILE": str(tmp_path / "key.pem"),
    }
    with started({**environment, **tls}) as process:
        next_log(process, "serving")
        credentials = grpc.ssl_channel_credentials(certificate)
        address = environment["FOREBAY_GRPC_ADDRESS"].replace("127.0.0.1", "localhost")
        with grpc.secure_channel(address, credentials) as channel:
            metadata = bearer(installation.token())
            caller = QueryServiceStub(channel).GetCaller(GetCallerRequest(), metadata=metadata)
            assert caller.tenant == "acme"


def self_signed(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def test_several_processes_serve_one_port_and_a_dead_one_comes_back(
    environment: dict[str, str],
) -> None:
    with started({**environment, "FOREBAY_PROCESSES": "2"}) as process:
        for _ in range(2):
            next_log(process, "serving")
        first, second = psutil.Process(process.pid).children()
        first.kill()
        assert next_log(process, "a serving process ended")["code"] == -signal.SIGKILL
        next_log(process, "serving")
        assert second in psutil.Process(process.pid).children()
        process.terminate()
        assert process.wait(30) == 0
        assert not second.is_running()


def test_processes_leave_with_a_supervisor_that_was_killed(environment: dict[str, str]) -> None:
    with started({**environment, "FOREBAY_PROCESSES": "2"}) as process:
        for _ in range(2):
            next_log(process, "serving")
        children = psutil.Process(process.pid).children()
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(children, 30)
        assert alive == []


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_port_in_use_is_said_so(environment: dict[str, str], processes: str) -> None:
    host, port = environment["FOREBAY_GRPC_ADDRESS"].split(":")
    with socket.create_server((host, int(port))):
        code, text = refusal({**environment, "FOREBAY_PROCESSES": processes})
    assert code == 1
    assert f"cannot listen on {host}:{port}: Address already in use" in text


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_wrong_configuration_is_named_and_never_tried_again(
    environment: dict[str, str], processes: str, tmp_path: Path
) -> None:
    (tmp_path / "policy.yaml").write_text("tiers: {free: {clearance: SECRET}}")
    code, text = refusal({**environment, "FOREBAY_PROCESSES": processes})
    assert code == 2
    assert "policy.yaml:1: tiers.free.clearance: Input should be" in text


def test_a_missing_variable_is_named(environment: dict[str, str]) -> None:
    del environment["FOREBAY_SEAL_SECRET_FILE"]
    assert refusal(environment) == (
        2,
        "forebay-server: FOREBAY_SEAL_SECRET_FILE: Field required\n",
    )


def test_tls_needs_its_key(environment: dict[str, str]) -> None:
    code, text = refusal({**environment, "FOREBAY_TLS_CERTIFICATE_FILE": "cert.pem"})
    assert code == 2
    assert "TLS_CERTIFICATE_FILE and TLS_KEY_FILE need each other" in text
