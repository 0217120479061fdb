"""Vectors that were paid for and have not served their purpose yet."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

MOST_VECTORS = 4_096  # 6 MiB each thousand at 1,536 dimensions
Vector = npt.NDArray[np.float32]


class PaidVectors:
    """Remembers vectors by tenant and SHA-256 of the text, until they are indexed or searched by.

    Where that fails, the next attempt pays for nothing again.
    """

    def __init__(self) -> None:
        self._vectors: OrderedDict[tuple[str, bytes], Vector] = OrderedDict()

    def known(self, tenant: str, digests: Iterable[bytes]) -> Mapping[bytes, Vector]:
        """Those of the vectors that are remembered."""
        return {
            digest: vector
            for digest in digests
            if (vector := self._vectors.get((tenant, digest))) is not None
        }

    def keep(self, tenant: str, digest: bytes, vector: Vector) -> None:
        """Remember a vector; the oldest goes where there are too many."""
        self._vectors[tenant, digest] = vector
        if len(self._vectors) > MOST_VECTORS:
            self._vectors.popitem(last=False)

    def used(self, tenant: str, digests: Iterable[bytes]) -> None:
        """Forget what has served its purpose."""
        for digest in digests:
            self._vectors.pop((tenant, digest), None)
