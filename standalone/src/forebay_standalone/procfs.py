"""Processes found by the folder they run in."""

from pathlib import Path

PROC = Path("/proc")


def processes_in(folder: Path) -> list[int]:
    """Give the ids of living processes whose working folder this is; empty without procfs.

    Every process of a Postgres server runs in its data folder, each in a session of its own, so
    that neither a process group nor a parent id finds the ones a killed postmaster left.
    """
    found = []
    for entry in PROC.glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
        except OSError:  # it ended meanwhile, or is not ours to look at
            continue
    return found
