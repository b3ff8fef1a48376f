"""download-nih against a real HTTP server that breaks off, ignores Range, lies about lengths and changes its files."""

import gzip
import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from chest_xray.data.download import NIH_ARCHIVES, DownloadReport, download_nih
from chest_xray.errors import DownloadError


def archive(seed: int, size: int = 300_000) -> bytes:
    return gzip.compress(np.random.default_rng(seed).bytes(size), mtime=0)


@dataclass
class Site:
    """What the server does; `requests` is what it was asked."""

    files: dict[str, bytes]
    break_after: list[int | None] = field(default_factory=list)  # body bytes of each request in turn; None: all
    statuses: list[int] = field(default_factory=list)  # answers that come first
    ranges: bool = True
    etag: bool = True
    announce: Callable[[int], int] = lambda length: length
    slow: bool = False
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    on_request: Callable[["Site"], None] = lambda site: None
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        self.site.requests.append((self.path, self.headers.get("Range")))
        self.site.on_request(self.site)
        if self.site.statuses:
            return self.plain(self.site.statuses.pop(0))
        content = self.site.files.get(self.path.strip("/"))
        if content is None:
            return self.plain(404)
        return self.send(content)

    def plain(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send(self, content: bytes) -> None:
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in (None, tag)
        start = int(asked[1]) if asked and self.site.ranges and same else 0
        if start >= len(content):
            return self.plain(416)
        # Before the headers: with them the client may go on to its next request, which another thread answers.
        limit = self.site.break_after.pop(0) if self.site.break_after else None
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(self.site.announce(len(content) - start)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.site.etag:
            self.send_header("ETag", tag)
        self.end_headers()
        body = content[start:] if limit is None else content[start : start + limit]
        try:
            for place in range(0, len(body), 10_000):
                self.wfile.write(body[place : place + 10_000])
                self.wfile.flush()
                time.sleep(0.05 if self.site.slow else 0)
        except (BrokenPipeError, ConnectionResetError):
            return None  # the client reads no further than the headers when it only looks a file up
        return None

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site(files={"a.tar.gz": archive(1), "b.tar.gz": archive(2)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("HandlerOfThisTest", (Handler,), {"site": site}))
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


def download(site: Site, folder: Path, *names: str) -> DownloadReport:
    archives = {name: f"{site.url}/{name}" for name in names or ("a.tar.gz",)}
    return download_nih(folder, archives=archives, attempts=3, wait=0.001)


def refusal(site: Site, folder: Path) -> str:
    with pytest.raises(DownloadError) as caught:
        download(site, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_complete(site: Site, folder: Path, *names: str) -> None:
    for name in names or ("a.tar.gz",):
        assert (folder / name).read_bytes() == site.files[name]
        recorded = json.loads((folder / "checksums.json").read_text())[name]
        assert recorded == hashlib.sha256(site.files[name]).hexdigest()
    assert not list(folder.glob("*.part*"))


def test_the_twelve_archives() -> None:
    assert list(NIH_ARCHIVES) == [f"images_{number:03d}.tar.gz" for number in range(1, 13)]
    assert len(set(NIH_ARCHIVES.values())) == 12
    assert all(
        re.fullmatch(r"https://nihcc\.box\.com/shared/static/[a-z0-9]{32}\.gz", u) for u in NIH_ARCHIVES.values()
    )


def test_all_archives_arrive_whole(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = download(site, tmp_path / "new" / "folder", "a.tar.gz", "b.tar.gz")
    assert_complete(site, tmp_path / "new" / "folder", "a.tar.gz", "b.tar.gz")
    assert report.fetched == ("a.tar.gz", "b.tar.gz")
    assert report.verified == ()
    assert report.missing_tables[0] == "Data_Entry_2017_v2020.csv"
    assert "Still to be fetched by hand, from https://nihcc.app.box.com/v/ChestXray-NIHCC" in capsys.readouterr().err


def test_a_mirror_has_the_same_names(site: Site, tmp_path: Path) -> None:
    download_nih(tmp_path, archives={"a.tar.gz": "https://nowhere.invalid/x"}, mirror=f"{site.url}/", attempts=1)
    assert_complete(site, tmp_path)


def test_goes_on_where_the_connection_broke(site: Site, tmp_path: Path) -> None:
    site.break_after = [None, 100_000, 50_000]
    download(site, tmp_path)
    assert_complete(site, tmp_path)
    assert [asked for _, asked in site.requests] == [None, None, "bytes=100000-", "bytes=150000-"]


def test_goes_on_in_a_later_run(site: Site, tmp_path: Path) -> None:
    site.break_after = [None, 100_000, 0, 0]
    message = refusal(site, tmp_path)
    assert "could not be fetched in 3 tries" in message
    assert "100,000 bytes are kept" in message
    assert (tmp_path / "a.tar.gz.part").stat().st_size == 100_000
    assert not (tmp_path / "a.tar.gz").exists()
    site.requests.clear()
    download(site, tmp_path)
    assert_complete(site, tmp_path)
    assert site.requests[-1] == ("/a.tar.gz", "bytes=100000-")


def test_without_an_etag_the_length_decides(site: Site, tmp_path: Path) -> None:
    site.etag = False
    site.break_after = [None, 100_000]
    download(site, tmp_path)
    assert_complete(site, tmp_path)
    assert site.requests[-1][1] == "bytes=100000-"


def test_a_server_that_ignores_range_means_a_fresh_start(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    site.break_after = [None, 100_000]
    download(site, tmp_path)
    assert_complete(site, tmp_path)


def test_a_server_that_ignores_range_and_always_breaks_off(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    site.break_after = [None, *[100_000] * 20]
    assert "could not be fetched in 3 tries" in refusal(site, tmp_path)
    assert len(site.requests) <= 8


@pytest.mark.parametrize("etag", [True, False])
def test_a_file_that_changes_between_tries_is_not_glued_together(site: Site, tmp_path: Path, etag: bool) -> None:
    site.etag = etag
    site.break_after = [None, 100_000]

    def change(site: Site) -> None:
        if len(site.requests) == 3:
            site.files["a.tar.gz"] = archive(9, 310_000)

    site.on_request = change
    download(site, tmp_path)
    assert (tmp_path / "a.tar.gz").read_bytes() == archive(9, 310_000)
    assert_complete(site, tmp_path)


def test_a_file_that_became_shorter_than_its_part(site: Site, tmp_path: Path) -> None:
    site.etag = False
    site.break_after = [None, 200_000]

    def change(site: Site) -> None:
        if len(site.requests) == 3:
            site.files["a.tar.gz"] = archive(9, 50_000)

    site.on_request = change
    download(site, tmp_path)
    assert_complete(site, tmp_path)


def test_a_file_that_changes_at_every_try_ends_in_an_error(site: Site, tmp_path: Path) -> None:
    site.break_after = [None, *[150_000, 140_000] * 10]

    def change(site: Site) -> None:
        site.files["a.tar.gz"] = archive(len(site.requests))

    site.on_request = change
    assert "could not be fetched in 3 tries" in refusal(site, tmp_path)


@pytest.mark.parametrize(("difference", "message"), [(1000, "could not be fetched in 3 tries")])
def test_a_length_that_is_too_long(site: Site, tmp_path: Path, difference: int, message: str) -> None:
    site.announce = lambda length: length + difference
    assert message in refusal(site, tmp_path)
    assert not (tmp_path / "a.tar.gz").exists()


def test_busy_answers_are_tried_again(site: Site, tmp_path: Path) -> None:
    site.statuses = [503, 429]
    download(site, tmp_path)
    assert_complete(site, tmp_path)


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_file_that_is_not_there(site: Site, tmp_path: Path, status: int) -> None:
    site.statuses = [status]
    assert refusal(site, tmp_path).startswith(f"{site.url}/a.tar.gz answers HTTP {status}")
    assert len(site.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="cannot be reached"):
        download_nih(tmp_path, archives={"a.tar.gz": "http://127.0.0.1:9/a"}, attempts=2, wait=0.001)


def test_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DownloadError):
        download_nih(tmp_path, archives={"a.tar.gz": ""}, mirror="not an address", attempts=1)


def test_a_web_page_instead_of_an_archive(site: Site, tmp_path: Path) -> None:
    site.files["a.tar.gz"] = b"<!DOCTYPE html><title>Sign in</title>"
    assert "is not a gzip archive (it begins with b'<!DOCTYPE html><'" in refusal(site, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_room_on_the_disk(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.break_after = [None, 150_000, 0, 0]
    refusal(site, tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    assert "needs 0.0 GB more and its disk has 0.0 GB free" in refusal(site, tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=200_000))
    download(site, tmp_path)  # what is there already needs no room
    assert_complete(site, tmp_path)


def test_a_later_run_verifies_and_fetches_only_what_is_missing(site: Site, tmp_path: Path) -> None:
    download(site, tmp_path)
    site.requests.clear()
    report = download(site, tmp_path, "a.tar.gz", "b.tar.gz")
    assert report.verified == ("a.tar.gz",)
    assert report.fetched == ("b.tar.gz",)
    assert {path for path, _ in site.requests} == {"/b.tar.gz"}
    assert_complete(site, tmp_path, "a.tar.gz", "b.tar.gz")


def test_an_altered_archive_is_found(site: Site, tmp_path: Path) -> None:
    download(site, tmp_path)
    content = bytearray((tmp_path / "a.tar.gz").read_bytes())
    content[-1] ^= 1
    (tmp_path / "a.tar.gz").write_bytes(content)
    assert "is not the file whose SHA-256 is in checksums.json: remove it" in refusal(site, tmp_path)


def test_an_archive_that_came_by_another_way(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(site.files["a.tar.gz"][:-1])
    length = len(site.files["a.tar.gz"])
    assert f"has {length - 1:,} bytes, expected {length:,}" in refusal(site, tmp_path)
    (tmp_path / "a.tar.gz").write_bytes(site.files["a.tar.gz"])
    assert download(site, tmp_path).verified == ("a.tar.gz",)
    assert_complete(site, tmp_path)


def test_a_damaged_checksum_file(site: Site, tmp_path: Path) -> None:
    download(site, tmp_path)
    (tmp_path / "checksums.json").write_text("{")
    assert "checksums.json is not JSON" in refusal(site, tmp_path)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_a_stopped_download_goes_on(site: Site, tmp_path: Path, how: signal.Signals) -> None:
    site.slow = True
    script = (
        "from pathlib import Path\nfrom chest_xray.data.download import download_nih\n"
        f"download_nih(Path({str(tmp_path)!r}), archives={{'a.tar.gz': {site.url + '/a.tar.gz'!r}}})\n"
    )
    part = tmp_path / "a.tar.gz.part"
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 30
        while not (part.is_file() and part.stat().st_size > 40_000):
            assert time.monotonic() < end
            time.sleep(0.005)
        process.send_signal(how)
        process.wait(timeout=20)
    kept = part.stat().st_size
    assert 40_000 < kept < 300_000
    assert not (tmp_path / "a.tar.gz").exists()
    site.slow = False
    download(site, tmp_path)
    assert site.requests[-1][1] == f"bytes={kept}-"
    assert_complete(site, tmp_path)
