"""Where downloads are kept, so that every state folder shares them."""

import os
import tempfile
from pathlib import Path

CACHE_VARIABLE = "FOREBAY_CACHE_DIR"


def cache_folder(fallback: Path | None = None) -> Path:
    """Give the cache folder, created.

    `$FOREBAY_CACHE_DIR`; else `forebay` in the user's cache folder (XDG Base Directory: absolute
    `$XDG_CACHE_HOME` or `~/.cache`); else `fallback`, when that place cannot be written.
    """
    if chosen := os.environ.get(CACHE_VARIABLE):
        folder = Path(chosen).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    for folder in _usual_places(fallback):
        if _writable(folder):
            return folder
    return Path(tempfile.mkdtemp(prefix="forebay-cache-"))


def _usual_places(fallback: Path | None) -> list[Path]:
    stated = Path(os.environ.get("XDG_CACHE_HOME", ""))
    places = [stated / "forebay"] if stated.is_absolute() else []
    if home := os.environ.get("HOME"):
        places.append(Path(home) / ".cache" / "forebay")
    return [*places, fallback] if fallback else places


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
