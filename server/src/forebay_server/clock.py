"""Time, given to whoever needs it so that tests can turn it."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since 1970."""

system_clock: Clock = time.time
