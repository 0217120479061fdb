"""The brokers of a system: one, or several that hold each other's copies, on one machine."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from forebay_standalone.broker import KafkaBroker
from forebay_standalone.broker_settings import cluster_members
from forebay_standalone.ports import LOOPBACK

_DETOUR = "kafka-detour"  # the port behind the one that programs are told


def broker_ports(count: int) -> tuple[str, ...]:
    """Name the ports that `brokers` wants."""
    own = [f"kafka{_suffix(each, count)}" for each in range(1, count + 1)]
    controllers = [f"kafka-controller{_suffix(each, count)}" for each in range(1, count + 1)]
    return (*own, *controllers, _DETOUR)


def brokers(
    path: Path,
    logs: Path,
    ports: Mapping[str, int],
    count: int,
    classpath: Callable[[], Sequence[Path]],
    *,
    detour: int | None = None,
) -> tuple[KafkaBroker, ...]:
    """Describe `count` brokers below `path`.

    With `detour` the first one also serves a proxy: whoever connects by that port of loopback is
    sent there again by the broker's metadata.
    """
    names = broker_ports(count)
    members = cluster_members(count, [ports[name] for name in names[count : 2 * count]])
    return tuple(
        KafkaBroker(
            path / name,
            ports[name],
            member=member,
            settings=_detoured(ports, names[0], names[count], detour) if not place else None,
            log=logs / f"{name}.log",
            classpath=classpath,
        )
        for place, (name, member) in enumerate(zip(names[:count], members, strict=True))
    )


def detour_port(ports: Mapping[str, int]) -> int:
    """Where a proxy reaches the first broker."""
    return ports[_DETOUR]


def _detoured(
    ports: Mapping[str, int], own: str, controller: str, told: int | None
) -> dict[str, str]:
    if told is None:
        return {}
    plain = f"PLAINTEXT://{LOOPBACK}:{ports[own]}"
    behind = f"DETOUR://{LOOPBACK}:{ports[_DETOUR]}"
    return {
        "listeners": f"{plain},{behind},CONTROLLER://{LOOPBACK}:{ports[controller]}",
        "advertised.listeners": f"{plain},DETOUR://{LOOPBACK}:{told}",
        "listener.security.protocol.map": (
            "PLAINTEXT:PLAINTEXT,DETOUR:PLAINTEXT,CONTROLLER:PLAINTEXT"
        ),
    }


def _suffix(number: int, count: int) -> str:
    return f"-{number}" if count > 1 else ""
