"""Apache Kafka's jars: fetched once by `jgo` in pure Python, checked against pinned digests.

`python -m forebay_standalone.jars` fetches them ahead of the first start.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import click
import requests
from filelock import FileLock
from jgo.maven import MavenContext, PythonResolver

from forebay_standalone.cache import cache_folder
from forebay_standalone.errors import DownloadFailed
from forebay_standalone.state_folder import STATE_DIR

REPOSITORY_VARIABLE = "FOREBAY_MAVEN_REPOSITORY"
ATTEMPTS = 3  # one hiccup of a network is usual, three in a row are an outage
PARALLEL_DOWNLOADS = 6  # what a polite client opens to one host
TIMEOUT_SECONDS = 60
DOWNLOAD_ERRORS = (requests.RequestException, OSError, RuntimeError, AssertionError)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Jar:
    """One pinned jar: Maven coordinate and SHA-256 of its bytes (hexadecimal)."""

    group: str
    artifact: str
    version: str
    digest: str

    @property
    def filename(self) -> str:
        """The jar's file name, as Maven repositories have it."""
        return f"{self.artifact}-{self.version}.jar"

    def is_at(self, path: Path) -> bool:
        """Whether a file is exactly this jar."""
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest() == self.digest
        except OSError:
            return False


def pinned_jars() -> tuple[Jar, ...]:
    """Read the lock that `scripts/pin_kafka_jars.py` writes."""
    text = files("forebay_standalone").joinpath("kafka_jars.lock").read_text()
    return tuple(_parse(line) for line in text.splitlines())


def _parse(line: str) -> Jar:
    coordinate, digest = line.split()
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, digest)


def kafka_classpath(cache: Path, say: Say = lambda _line: None) -> tuple[Path, ...]:
    """Give the path of every jar, fetching what is missing or does not fit its digest.

    Each jar is put in place whole, so a start that is cut off costs only the jar in flight; a
    second start waits at the lock. Raises DownloadFailed.
    """
    folder = cache / "kafka"
    folder.mkdir(parents=True, exist_ok=True)
    jars = pinned_jars()
    missing = _unfit(jars, folder)
    if missing:
        with FileLock(folder / "lock"):
            for left_behind in folder.glob("fetch-*"):
                shutil.rmtree(left_behind)
            missing = _unfit(jars, folder)  # another start may have fetched them while we waited
            _fetch_all(missing, folder, say)
    return tuple(folder / jar.filename for jar in jars)


def _unfit(jars: tuple[Jar, ...], folder: Path) -> tuple[Jar, ...]:
    return tuple(jar for jar in jars if not jar.is_at(folder / jar.filename))


def _fetch_all(jars: tuple[Jar, ...], folder: Path, say: Say) -> None:
    if not jars:
        return
    say(f"fetching Apache Kafka: {len(jars)} jars, once")
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix="fetch-") as scratch,
        ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool,
    ):
        waiting = {pool.submit(_fetch, jar, Path(scratch), folder): jar for jar in jars}
        try:
            for count, done in enumerate(as_completed(waiting), start=1):
                done.result()
                say(f"  {count}/{len(jars)} {waiting[done].filename}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch(jar: Jar, scratch: Path, folder: Path) -> None:
    reason = ""
    for attempt in range(ATTEMPTS):
        # jgo keeps a broken file for good, hence a repository of its own for every attempt.
        repository = scratch / f"{jar.artifact}-{attempt}"
        try:
            arrived = _download(jar, repository)
        except DOWNLOAD_ERRORS as error:
            reason = str(error)
            continue
        if jar.is_at(arrived):
            arrived.replace(folder / jar.filename)
            return
        reason = "what arrived does not fit the pinned digest"
    raise DownloadFailed(jar.filename, reason, REPOSITORY_VARIABLE)


def _download(jar: Jar, repository: Path) -> Path:
    mirror = os.environ.get(REPOSITORY_VARIABLE)
    maven = MavenContext(
        resolver=PythonResolver(),
        repo_cache=repository,
        remote_repos={"mirror": mirror.rstrip("/")} if mirror else None,
        timeout=TIMEOUT_SECONDS,
    )
    component = maven.project(jar.group, jar.artifact).at_version(jar.version)
    return Path(component.artifact().resolve())


def main() -> None:
    """Fetch the jars into the shared cache, telling how it goes."""
    fallback = STATE_DIR / "cache"  # where a start in the same folder will look
    kafka_classpath(cache_folder(fallback), lambda line: click.echo(line, err=True))


if __name__ == "__main__":
    main()
