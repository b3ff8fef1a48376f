"""The image archives of NIH ChestX-ray14, from the NIH Clinical Center's Box folder.

    cxr download-nih DIR

42 GB in 12 archives. NIH publishes no checksums: the SHA-256 of each archive is recorded in `checksums.json` when it
is first complete, and a later run compares. The tables (labels, lists, boxes) have no fixed address: they lie in the
same Box folder. Terms: free to use; link to the folder, cite Wang et al. (CVPR 2017), acknowledge the NIH Clinical
Center.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chest_xray.console import progress, say
from chest_xray.data.fetch import Tries, discard, fetch, finish, look_up
from chest_xray.data.nih import BOX_FILE, LABEL_FILES
from chest_xray.data.split import TEST_LIST, TRAIN_VAL_LIST
from chest_xray.errors import DownloadError
from chest_xray.files import DISK_FULL, sha256_of, write_atomically

if TYPE_CHECKING:
    import httpx

BOX_FOLDER: Final = "https://nihcc.app.box.com/v/ChestXray-NIHCC"
CHECKSUM_FILE: Final = "checksums.json"

# The addresses that NIH's own batch_download_zips.py has, in the order of the archives.
_STATIC: Final = "https://nihcc.box.com/shared/static/"
NIH_ARCHIVES: Final[dict[str, str]] = {
    f"images_{number:03d}.tar.gz": f"{_STATIC}{key}.gz"
    for number, key in enumerate(
        (
            "vfk49d74nhbxq3nqjg0900w5nvkorp5c",
            "i28rlmbvmfjbl8p2n3ril0pptcmcu9d1",
            "f1t00wrtdk94satdfb9olcolqx20z2jp",
            "0aowwzs5lhjrceb3qp67ahp0rd1l1etg",
            "v5e3goj22zr6h8tzualxfsqlqaygfbsn",
            "asi7ikud9jwnkrnkj99jnpfkjdes7l6l",
            "jn1b4mw4n6lnh74ovmcjb8y48h8xj07n",
            "tvpxmn7qyrgl0w8wfh9kqfjskv6nmm1j",
            "upyy3ml7qdumlgk2rfcvlb9k6gvqq2pj",
            "l6nilvfa9cg3s28tqv1qc1olm3gnz54p",
            "hhq8fkdgvcari67vfhs7ppg2w6ni4jze",
            "ioqwiy20ihqwyr8pf4c24eazhh281pbu",
        ),
        start=1,
    )
}
_TABLES: Final = (LABEL_FILES["v2020"], TRAIN_VAL_LIST, TEST_LIST, BOX_FILE)
_GZIP: Final = b"\x1f\x8b"
_MEGABYTE: Final = 1_000_000


@dataclass(frozen=True)
class DownloadReport:
    """What a run of download-nih did."""

    directory: Path
    fetched: tuple[str, ...]  # archives that this run completed
    verified: tuple[str, ...]  # archives that were there and have the recorded hash
    missing_tables: tuple[str, ...]  # tables to be fetched by hand


def download_nih(
    directory: Path,
    *,
    archives: dict[str, str] = NIH_ARCHIVES,
    mirror: str | None = None,
    attempts: int = 6,
    wait: float = 1.0,
) -> DownloadReport:
    """Fetch the archives that are not there, going on with parts, and verify those that are.

    Args:
        directory: where the archives go; made if need be.
        archives: file name -> address.
        mirror: address of a folder that holds the same file names, used instead.
        attempts: tries of an archive in a row that bring nothing new before giving up.
        wait: seconds before the second try; doubled for each further one, up to a minute.

    Raises:
        DownloadError: no room on the disk, an archive refused, broken off for good, altered, or not an archive.
    """
    import httpx

    if mirror is not None:
        archives = {name: f"{mirror.rstrip('/')}/{name}" for name in archives}
    directory.mkdir(parents=True, exist_ok=True)
    wanted = {name: url for name, url in archives.items() if not (directory / name).is_file()}
    present = {name: url for name, url in archives.items() if name not in wanted}
    tries = Tries(attempts, wait)
    # With another encoding a server may compress on the fly, and neither lengths nor ranges would be the file's own.
    headers = {"Accept-Encoding": "identity"}
    timeout = httpx.Timeout(30.0, read=60.0)
    try:
        with httpx.Client(follow_redirects=True, timeout=timeout, headers=headers) as client:
            lengths = {name: look_up(client, url, tries).length or 0 for name, url in wanted.items()}
            _check_room(directory, lengths)
            for name, url in present.items():
                _verify(client, url, directory / name, tries)
            for name, url in wanted.items():
                _fetch(client, url, directory / name, lengths[name], tries)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(f"The download failed: {' '.join(str(error).split())}.") from error
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise DownloadError(f"The disk of {directory} is full: make room and run the same command again.") from error
    missing = tuple(name for name in _TABLES if not (directory / name).is_file())
    if missing:
        say(f"The archives are complete. Still to be fetched by hand, from {BOX_FOLDER}: {', '.join(missing)}.")
    return DownloadReport(directory, tuple(wanted), tuple(present), missing)


def _check_room(directory: Path, lengths: dict[str, int]) -> None:
    """Refuse to begin what the disk cannot hold; a server that does not tell a length counts as 0."""
    parts = [directory / f"{name}.part" for name in lengths]
    needed = sum(lengths.values()) - sum(part.stat().st_size for part in parts if part.is_file())
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise DownloadError(
            f"{directory} needs {needed / 1e9:.1f} GB more and its disk has {free / 1e9:.1f} GB free: "
            "make room or choose another disk."
        )


def _fetch(client: httpx.Client, url: str, path: Path, length: int, tries: Tries) -> None:
    """Fetch one archive, record its hash, and only then give it its name."""
    part = path.with_name(f"{path.name}.part")
    received = 0
    with progress(path.name, length // _MEGABYTE, "MB") as advance:

        def count(size: int) -> None:
            nonlocal received
            before, received = received, received + size
            advance(received // _MEGABYTE - before // _MEGABYTE)

        fetch(client, url, part, count, tries)
    with part.open("rb") as file:
        start = file.read(16)
    if not start.startswith(_GZIP):
        discard(part)
        raise DownloadError(
            f"{url} gave something that is not a gzip archive (it begins with {start!r}): "
            f"open {BOX_FOLDER} in a browser and see whether NIH has moved the files."
        )
    _record(path.parent, path.name, sha256_of(part))
    finish(part, path)


def _verify(client: httpx.Client, url: str, path: Path, tries: Tries) -> None:
    """Compare an archive with its recorded hash; one that came by another way is compared by length and recorded."""
    say(f"{path.name}: verifying")
    recorded = _read_checksums(path.parent).get(path.name)
    if recorded is None:
        length = look_up(client, url, tries).length
        found = path.stat().st_size
        if length is not None and length != found:
            raise DownloadError(f"{path} has {found:,} bytes, expected {length:,}: remove it and run again.")
        _record(path.parent, path.name, sha256_of(path))
    elif sha256_of(path) != recorded:
        raise DownloadError(
            f"{path} is not the file whose SHA-256 is in {CHECKSUM_FILE}: remove it and run again to fetch it anew."
        )


def _record(directory: Path, name: str, sha256: str) -> None:
    checksums = dict(sorted((_read_checksums(directory) | {name: sha256}).items()))
    write_atomically(directory / CHECKSUM_FILE, (json.dumps(checksums, indent=2) + "\n").encode())


def _read_checksums(directory: Path) -> dict[str, str]:
    path = directory / CHECKSUM_FILE
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DownloadError(f"{path} is not JSON ({error}): remove it to record the archives as they are.") from error
    if not isinstance(content, dict):
        raise DownloadError(f"{path} is not a JSON object: remove it to record the archives as they are.")
    return {str(name): str(value) for name, value in content.items()}
