"""Accounts of a broker: who signs in as whom, and that nothing is allowed which is not granted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from forebay_standalone.ports import LOOPBACK

ADMIN = "admin"  # makes topics and grants; nobody works under it
NODE = "node"  # the brokers among themselves
CLIENTS = "CLIENTS"  # the listener that everybody else uses
CONTROLLER = "CONTROLLER"


@dataclass(frozen=True)
class Accounts:
    """Passwords by user name; `admin` and `node` are among them."""

    passwords: Mapping[str, str]

    def client_options(self, user: str) -> dict[str, str]:
        """Give what a client signs in with, in librdkafka's words."""
        return {
            **mechanism_options(),
            "sasl.username": user,
            "sasl.password": self.passwords[user],
        }


def mechanism_options() -> dict[str, str]:
    """Give how clients sign in; passwords cross loopback alone, so nothing encrypts them."""
    return {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}


def security_settings(
    accounts: Accounts, clients: Mapping[str, int], controller_port: int
) -> dict[str, str]:
    """Give the broker's settings (KIP-801's authorizer, default deny), in its own names.

    `clients` are the ports by listener, `CLIENTS` among them. They replace those of
    `broker_settings`. Passwords stand in them: keep the file private.
    """
    listeners = {**clients, CONTROLLER: controller_port}
    return {
        "listeners": ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in listeners.items()),
        "listener.security.protocol.map": ",".join(f"{name}:SASL_PLAINTEXT" for name in listeners),
        "inter.broker.listener.name": CLIENTS,
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        **{_jaas(name): _login(accounts, accounts.passwords) for name in clients},
        _jaas(CONTROLLER): _login(accounts, (NODE,)),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMIN};User:{NODE}",
        "allow.everyone.if.no.acl.found": "false",
    }


def _jaas(listener: str) -> str:
    return f"listener.name.{listener.lower()}.plain.sasl.jaas.config"


def _login(accounts: Accounts, users: Iterable[str]) -> str:
    known = " ".join(f'user_{user}="{accounts.passwords[user]}"' for user in users)
    own = f'username="{NODE}" password="{accounts.passwords[NODE]}"'
    return f"org.apache.kafka.common.security.plain.PlainLoginModule required {own} {known};"
