"""The `server.properties` of a KRaft node that is controller and broker in one."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from forebay_standalone.ports import LOOPBACK, free_port

MIB = 1024 * 1024
LARGEST_BATCH = 9 * MIB  # records are at most 8 MiB; the rest is for headers and framing
MOST_REPLICAS = 3


@dataclass(frozen=True)
class Member:
    """A node's place in its cluster: its id and the controller port of every voter by node id."""

    node_id: int
    voters: Mapping[int, int]
    cluster_id: str


def cluster_members(count: int, ports: Sequence[int] = ()) -> tuple[Member, ...]:
    """Describe a cluster of `count` nodes, with controller ports given or chosen free."""
    chosen = list(ports)
    while len(chosen) < count:
        chosen.append(free_port(frozenset(chosen)))
    voters = dict(enumerate(chosen, start=1))
    cluster_id = new_cluster_id()
    return tuple(Member(node_id, voters, cluster_id) for node_id in voters)


def new_cluster_id() -> str:
    """Make a cluster id in Kafka's form: a random UUID as unpadded URL-safe base64."""
    while True:
        name = urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        if not name.startswith("-"):  # Kafka's command line would take it for an option
            return name


def broker_settings(member: Member, port: int, data: Path) -> dict[str, str]:
    """Give the settings, in the broker's own names and units."""
    return {
        **_identity(member, port, data),
        **_replication(len(member.voters)),
        **_sizes(),
        **_groups(),
        # A broker that was killed may register again only after its former session: 9 s by default.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        "auto.create.topics.enable": "false",
        "num.partitions": "1",
        # 128 MiB by default, a quarter of our heap; 16 MiB holds the keys of 600,000 records.
        "log.cleaner.dedupe.buffer.size": str(16 * MIB),
    }


def as_properties(settings: Mapping[str, str]) -> str:
    """Render settings as a Java properties file."""
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _identity(member: Member, port: int, data: Path) -> dict[str, str]:
    own = f"CONTROLLER://{LOOPBACK}:{member.voters[member.node_id]}"
    voters = (f"{each}@{LOOPBACK}:{at}" for each, at in sorted(member.voters.items()))
    return {
        "process.roles": "broker,controller",
        "node.id": str(member.node_id),
        # A static quorum stands in this file alone, so ports may change between two starts.
        "controller.quorum.voters": ",".join(voters),
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},{own}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data),
    }


def _replication(nodes: int) -> dict[str, str]:
    replicas = str(min(nodes, MOST_REPLICAS))
    in_sync = str(max(1, min(nodes, MOST_REPLICAS) - 1))
    return {
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        # 50 partitions each by default: a dozen consumer groups need no such spread.
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.num.partitions": "4",
    }


def _sizes() -> dict[str, str]:
    return {
        "message.max.bytes": str(LARGEST_BATCH),
        "replica.fetch.max.bytes": str(LARGEST_BATCH),
        "replica.fetch.response.max.bytes": str(2 * LARGEST_BATCH),
    }


def _groups() -> dict[str, str]:
    return {
        # A lost worker's partitions move after its session: let clients choose seconds.
        "group.min.session.timeout.ms": "1000",
        "group.consumer.min.session.timeout.ms": "5000",
        "group.consumer.min.heartbeat.interval.ms": "1000",
        "group.initial.rebalance.delay.ms": "0",
    }
