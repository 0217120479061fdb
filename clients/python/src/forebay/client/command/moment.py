"""Options that say when."""

import re
from datetime import UTC, datetime, timedelta

import click

_AGE = re.compile(r"(\d{1,9})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment_of(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """A time, in the zone of this machine unless it names one, or an age such as 90s or 7d.

    Raises:
        click.BadParameter: it is neither.
    """
    if value is None:
        return None
    try:
        age = _AGE.fullmatch(value)
        if age is not None:
            return datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is no time like 2026-01-31T12:00 and no age like 2h"
        ) from None
