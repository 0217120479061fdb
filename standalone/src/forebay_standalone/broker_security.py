"""Accounts of a broker: who signs in as whom, and that nothing is allowed which is not granted."""

from collections.abc import Mapping
from dataclasses import dataclass

from forebay_standalone.ports import LOOPBACK

ADMIN = "admin"  # makes topics and grants; nobody works under it
NODE = "node"  # the brokers among themselves


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


def security_settings(accounts: Accounts, port: int, controller_port: int) -> dict[str, str]:
    """Give the broker's settings (KIP-801's authorizer, default deny), in its own names.

    They replace those of `broker_settings`. Passwords stand in them: keep the file private.
    """
    return {
        "listeners": f"CLIENTS://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "listener.security.protocol.map": "CLIENTS:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "inter.broker.listener.name": "CLIENTS",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.clients.plain.sasl.jaas.config": _login(accounts, accounts.passwords),
        "listener.name.controller.plain.sasl.jaas.config": _login(accounts, (NODE,)),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMIN};User:{NODE}",
        "allow.everyone.if.no.acl.found": "false",
    }


def _login(accounts: Accounts, users: Mapping[str, str] | tuple[str, ...]) -> str:
    known = " ".join(f'user_{user}="{accounts.passwords[user]}"' for user in users)
    own = f'username="{NODE}" password="{accounts.passwords[NODE]}"'
    return f"org.apache.kafka.common.security.plain.PlainLoginModule required {own} {known};"
