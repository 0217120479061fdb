"""Resolve a Kafka version and print the jars to pin: `coordinate sha256`, one a line.

    .venv/bin/python scripts/pin_kafka_jars.py 4.3.1 2.25.4 \
        > standalone/src/forebay_standalone/kafka_jars.lock

The second version is that of log4j in Kafka's own dependencies: its SLF4J binding is part of
Kafka's distribution but of no POM, and a broker without it logs nothing.
"""

import hashlib
import sys
import tempfile
from pathlib import Path

from jgo.maven import MavenContext, PythonResolver

RUN_SCOPES = (None, "compile", "runtime")  # None is the input itself


def main() -> None:
    """Resolve, download to a folder of this run, and print."""
    kafka, log4j = sys.argv[1:]
    with tempfile.TemporaryDirectory() as repository:
        maven = MavenContext(repo_cache=Path(repository), resolver=PythonResolver(), timeout=60)
        wanted = maven.create_dependency(f"org.apache.kafka:kafka_2.13:{kafka}")
        inputs, transitive = maven.resolver.resolve([wanted])
        artifacts = [each.artifact for each in inputs + transitive if each.scope in RUN_SCOPES]
        binding = f"org.apache.logging.log4j:log4j-slf4j-impl:{log4j}"
        artifacts.append(maven.create_dependency(binding).artifact)
        for artifact in sorted(artifacts, key=str):
            digest = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
            coordinate = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
            sys.stdout.write(f"{coordinate} {digest}\n")


if __name__ == "__main__":
    main()
