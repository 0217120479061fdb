"""Facts that stand in one document alone, and the questions that only this document answers."""

import hashlib
import random
from dataclasses import dataclass

COLLECTION = "locks"


@dataclass(frozen=True)
class Canary:
    """A fact of one tenant: which secret opens a lock.

    Hall and keeper are the lock's alone as well: one word may have another's place in a vector.
    """

    tenant: str
    lock: str
    hall: str
    keeper: str
    secret: str

    @property
    def name(self) -> str:
        """The document's resource name."""
        return f"collections/{COLLECTION}/documents/{self.lock}"

    @property
    def text(self) -> str:
        """The document, which is one passage and one text to embed."""
        return f"Lock {self._described} opens with {self.secret}."

    @property
    def question(self) -> str:
        return f"What opens lock {self._described}?"

    @property
    def _described(self) -> str:
        return f"{self.lock} of hall {self.hall} and keeper {self.keeper}"


def canaries(dice: random.Random, tenants: int, each: int) -> list[Canary]:
    """`each` facts for every one of `tenants` new tenants, one tenant after the other in turn."""
    names = [f"t-{dice.getrandbits(48):012x}" for _ in range(tenants)]
    prefixes = ("l", "h", "k", "secret")
    return [
        Canary(name, *(f"{prefix}{dice.getrandbits(48):012x}" for prefix in prefixes))
        for _ in range(each)
        for name in names
    ]


def digest(text: str) -> str:
    """How the model server names a text."""
    return hashlib.sha256(text.encode()).hexdigest()
