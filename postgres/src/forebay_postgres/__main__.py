"""`python -m forebay_postgres migrate` sets a database up; `check` says whether it is."""

import argparse
import sys

from forebay_postgres.check import check
from forebay_postgres.errors import StorageError
from forebay_postgres.migrate import migrate
from forebay_postgres.settings import PostgresSettings


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 is success, 1 says on stderr what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m forebay_postgres", description=__doc__)
    parser.add_argument("command", choices=("migrate", "check"))
    command = parser.parse_args(arguments).command
    try:
        return _migrate() if command == "migrate" else _check()
    except StorageError as error:
        print(error, file=sys.stderr)  # noqa: T201 (a command speaks to its terminal)
        return 1


def _migrate() -> int:
    for name in migrate(PostgresSettings()):
        print(f"applied {name}")  # noqa: T201
    return 0


def _check() -> int:
    problems = check(PostgresSettings())
    for problem in problems:
        print(problem, file=sys.stderr)  # noqa: T201
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
