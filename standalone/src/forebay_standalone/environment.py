"""What a child program finds in its environment."""

import os
from collections.abc import Iterable, Mapping

from forebay_standalone.errors import OwnedVariable

# A person may bring a policy of their own or more edge processes; where the parts are and which
# keys they use follows from the state folder alone.
YIELDING = ("FOREBAY_POLICY_FILE", "FOREBAY_PROCESSES")


def refuse_owned(decided: Iterable[Mapping[str, str]]) -> None:
    """Raise OwnedVariable when our environment sets what the table of programs decides."""
    names = {name for env in decided for name in env} - set(YIELDING)
    if found := sorted(names & set(os.environ)):
        raise OwnedVariable(found)


def child_environment(decided: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """Join our environment, so that every FOREBAY_ variable passes, with what is decided.

    `extra` is the caller's last word.
    """
    brought = {name: os.environ[name] for name in YIELDING if name in os.environ}
    # Unbuffered, or the last lines of a program that died would be missing from its log.
    return {**os.environ, "PYTHONUNBUFFERED": "1", **decided, **brought, **extra}
