"""The program's log: one JSON object per line on standard error."""

from __future__ import annotations

import logging

from pythonjsonlogger.json import JsonFormatter


def configure_log() -> None:
    """Send everything from INFO upwards to standard error, with what callers gave as `extra`."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter(
            "{levelname}{name}{message}",
            style="{",
            rename_fields={"levelname": "level", "name": "logger", "timestamp": "time"},
            timestamp=True,
            json_default=str,
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # One line per fetch of keys says nothing that a failure does not say better.
    logging.getLogger("httpx").setLevel(logging.WARNING)
