"""The brokers of a system: one, or several that hold each other's copies, on one machine."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from forebay_standalone.broker import KafkaBroker
from forebay_standalone.broker_security import CLIENTS, Accounts, security_settings
from forebay_standalone.broker_settings import cluster_members
from forebay_standalone.ports import LOOPBACK

_DETOUR = "kafka-detour"  # the port behind the one that programs are told
_BEHIND = "DETOUR"  # the listener there


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
    accounts: Accounts,
    classpath: Callable[[], Sequence[Path]],
    *,
    detour: int | None = None,
) -> tuple[KafkaBroker, ...]:
    """Describe `count` brokers below `path`; whoever has no account is not let in.

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
            settings=_secured(
                accounts,
                ports[name],
                member.voters[member.node_id],
                (ports[_DETOUR], detour) if detour and not place else None,
            ),
            log=logs / f"{name}.log",
            classpath=classpath,
        )
        for place, (name, member) in enumerate(zip(names[:count], members, strict=True))
    )


def detour_port(ports: Mapping[str, int]) -> int:
    """Where a proxy reaches the first broker."""
    return ports[_DETOUR]


def _secured(
    accounts: Accounts, port: int, controller: int, detour: tuple[int, int] | None
) -> dict[str, str]:
    """Settings of a broker; a detour is the port behind it, and the one that clients are told."""
    if detour is None:
        return security_settings(accounts, {CLIENTS: port}, controller)
    behind, told = detour
    listeners = f"{CLIENTS}://{LOOPBACK}:{port},{_BEHIND}://{LOOPBACK}:{told}"
    return {
        **security_settings(accounts, {CLIENTS: port, _BEHIND: behind}, controller),
        "advertised.listeners": listeners,
    }


def _suffix(number: int, count: int) -> str:
    return f"-{number}" if count > 1 else ""
