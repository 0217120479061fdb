"""The run: every figure beside its bare baseline, measured in turns."""

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from forebay_benchmarks.errors import BenchmarkError
from forebay_benchmarks.figures import Figure
from forebay_benchmarks.report import as_json, as_table
from forebay_benchmarks.rounds import LONG, QUICK, Plan
from forebay_benchmarks.scenarios import SCENARIOS
from forebay_benchmarks.stand import stand
from forebay_standalone.errors import StandaloneError

_TERMINATED = 128 + signal.SIGTERM  # what shells say of a program that ended by this signal


@click.command()
@click.option("--quick", is_flag=True, help="Shorter and fewer rounds: about eight minutes in all.")
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the figures as JSON to this file, or to standard output with `-`.",
)
@click.option(
    "--only",
    type=click.Choice(list(SCENARIOS)),
    multiple=True,
    help="Measure this scenario; may be given more than once.",
)
def bench(*, quick: bool, json_path: Path | None, only: Sequence[str]) -> None:
    """Measure Forebay beside the least that could do the same, on this machine.

    Exits with 1 when a call failed in any round: figures of failing calls mean nothing.
    """
    # As an exception it ends every process and removes the folder on its way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        figures = run(QUICK if quick else LONG, only or tuple(SCENARIOS))
    except (BenchmarkError, StandaloneError) as error:
        raise click.ClickException(str(error)) from error
    if json_path is None:
        click.echo(as_table(figures))
    else:
        report = {name: as_json(figure) for name, figure in figures.items()}
        with click.open_file(str(json_path), "w") as file:
            file.write(json.dumps(report, indent=2) + "\n")
    for name, figure in figures.items():
        if figure.rounds.failures:
            click.echo(f"{name}: calls failed, one with: {figure.rounds.failure}", err=True)
    if any(figure.rounds.failures for figure in figures.values()):
        sys.exit(1)


def run(plan: Plan, names: Sequence[str]) -> dict[str, Figure]:
    """Measure scenarios of these names, in their own order."""
    with stand(_say) as running:
        figures: dict[str, Figure] = {}
        for name, scenario in SCENARIOS.items():
            if name in names:
                _say(f"measuring {name}")
                figures[name] = scenario(running, plan)
    return figures


def _say(line: str) -> None:
    click.echo(line, err=True)
