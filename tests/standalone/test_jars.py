import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from forebay_standalone.cache import cache_folder
from forebay_standalone.errors import DownloadFailed
from forebay_standalone.jars import kafka_classpath, pinned_jars

LARGE = next(jar for jar in pinned_jars() if jar.artifact == "kafka-clients")


class Mirror(ThreadingHTTPServer):
    """A Maven repository of Kafka's jars, with some of them cut in half."""

    daemon_threads = True

    def __init__(self, jars: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), Repository)
        self.jars = jars
        self.halved: set[str] = set()
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Repository(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        mirror = self.server
        assert isinstance(mirror, Mirror)
        name = self.path.rpartition("/")[2]
        if name not in mirror.jars:
            self.send_error(404)
            return
        mirror.asked.append(name)
        content = mirror.jars[name].read_bytes()
        sent = content[: len(content) // 2] if name in mirror.halved else content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the name is the server's
        """Say nothing."""


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    with Mirror({path.name: path for path in kafka_classpath(cache_folder())}) as mirror:
        monkeypatch.setenv("FOREBAY_MAVEN_REPOSITORY", mirror.url)
        threading.Thread(target=mirror.serve_forever).start()
        yield mirror
        mirror.shutdown()


def test_two_starts_at_once_fetch_every_pinned_jar_once_and_tell_how_far_they_are(
    mirror: Mirror, folder: Path
) -> None:
    said: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: kafka_classpath(folder, said.append), range(2))
    assert first == second
    assert all(jar.is_at(path) for jar, path in zip(pinned_jars(), first, strict=True))
    assert sorted(mirror.asked) == sorted(jar.filename for jar in pinned_jars())
    assert said[-1].startswith(f"  {len(first)}/{len(first)} ")


def test_a_download_cut_in_half_is_not_kept_and_heals(mirror: Mirror, folder: Path) -> None:
    mirror.halved.add(LARGE.filename)
    with pytest.raises(DownloadFailed, match=LARGE.filename) as refused:
        kafka_classpath(folder)
    assert "FOREBAY_MAVEN_REPOSITORY" in refused.value.message
    assert not (folder / "kafka" / LARGE.filename).exists()
    mirror.halved.clear()
    mirror.asked.clear()
    assert all(path.exists() for path in kafka_classpath(folder))
    assert LARGE.filename in mirror.asked
    assert len(mirror.asked) < len(pinned_jars())


def test_a_broken_jar_in_the_cache_is_fetched_again(mirror: Mirror, folder: Path) -> None:
    shutil.copytree(cache_folder() / "kafka", folder / "kafka")
    broken = folder / "kafka" / LARGE.filename
    broken.write_bytes(broken.read_bytes()[:1000])
    kafka_classpath(folder)
    assert mirror.asked == [LARGE.filename]
    assert LARGE.is_at(broken)


def test_the_cache_lies_in_the_state_folder_when_home_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FOREBAY_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/proc/no-such-home")
    assert cache_folder(folder / "cache") == folder / "cache"
