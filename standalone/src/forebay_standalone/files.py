"""Files that must be there whole or not at all, and secrets that only we may read."""

import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644


def write_whole(path: Path, text: str, mode: int = PUBLIC) -> None:
    """Replace a file in one step: a reader sees the old text or the new one, never a part."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    Path(name).replace(path)


def kept(path: Path, make: Callable[[], str], mode: int = PRIVATE) -> str:
    """Read a file, made on first use; the text never changes afterwards."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, make(), mode)
    return path.read_text()


def random_hex(octets: int = 32) -> str:
    """Give `octets` random bytes as hexadecimal; 32 are what a 256-bit MAC key wants."""
    return secrets.token_hex(octets)
