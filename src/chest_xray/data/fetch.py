"""One large file over HTTP: goes on where it broke off, and takes no byte on trust.

The unfinished file is `NAME.part`; `NAME.part.json` holds what the server said of it (length, ETag, Last-Modified). A
resumed request carries these in `If-Range`, so that a file that changed in between is fetched anew and never glued
together. A server that ignores `Range` answers 200, and the file starts anew as well.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chest_xray.errors import DownloadError
from chest_xray.files import write_atomically

if TYPE_CHECKING:
    import httpx

Advance = Callable[[int], None]

_LONGEST_WAIT = 60.0
# Worth another try; any other refusal (403, 404, 410 ...) will be the same a minute later.
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))
_RANGE_NOT_SATISFIABLE = 416


@dataclass(frozen=True)
class Remote:
    """What a server says of a file, before its content."""

    length: int | None
    etag: str | None
    modified: str | None

    @property
    def validator(self) -> str | None:
        """What `If-Range` may carry: a strong ETag, else the date of the last change."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.modified


@dataclass(frozen=True)
class Tries:
    """How often and how soon to try again."""

    attempts: int  # in a row without a new byte, or fresh starts
    wait: float  # seconds before the second try; doubled for each further one

    def pause(self, failures: int) -> None:
        """Sleep after this many failures in a row, a minute at most."""
        time.sleep(min(self.wait * 2 ** (failures - 1), _LONGEST_WAIT))


class _PassingError(Exception):
    """This try failed in a way that another one may not; the message says how."""


def fetch(client: httpx.Client, url: str, part: Path, advance: Advance, tries: Tries) -> None:
    """Fetch `url` to `part`, going on with what is there. Ctrl-C leaves a part that the next call goes on with.

    The note beside a complete part stays, so that a call in vain costs nothing; `finish` removes it.

    Args:
        client: follows redirects and has timeouts.
        url: what to fetch.
        part: complete when this returns.
        advance: told of every byte received and of those that are there already; negative when they are discarded.
        tries: how often and how soon to try again.

    Raises:
        DownloadError: the server refuses the file, or no try brings it to its end.
    """
    advance(_length(part))
    failures = starts = 0
    while True:
        before = _length(part)
        try:
            _try_once(client, url, part, advance)
        except _PassingError as error:
            failures = 1 if _length(part) > before else failures + 1
            starts += _length(part) < before
            if max(failures, starts) >= tries.attempts:
                raise DownloadError(
                    f"{url} could not be fetched in {tries.attempts} tries ({error}); "
                    f"{_length(part):,} bytes are kept in {part}: run the same command again later."
                ) from error
            tries.pause(failures)
        else:
            return


def finish(part: Path, path: Path) -> None:
    """Give a complete part its final name."""
    part.replace(path)
    _note(part).unlink(missing_ok=True)


def discard(part: Path) -> None:
    """Remove a part and its note."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def look_up(client: httpx.Client, url: str, tries: Tries) -> Remote:
    """What the server says of a file. A GET that is not read, because not every server answers HEAD.

    Raises:
        DownloadError: the server cannot be reached or refuses the file.
    """
    import httpx

    failures = 0
    while True:
        try:
            with client.stream("GET", url) as response:
                _refuse(response, url)
                return _remote(response)
        except (httpx.TransportError, _PassingError) as error:
            failures += 1
            if failures >= tries.attempts:
                raise DownloadError(f"{url} cannot be reached ({_reason(error)}): try again later.") from error
            tries.pause(failures)


def _try_once(client: httpx.Client, url: str, part: Path, advance: Advance) -> None:
    import httpx

    known = _read_note(part)
    start = _length(part)
    if known is None or start == 0:
        _start_anew(part, advance)
        known, start = None, 0
    elif start == known.length:
        return
    try:
        with client.stream("GET", url, headers=_range(start, known)) as response:
            if response.status_code == _RANGE_NOT_SATISFIABLE:
                _start_anew(part, advance)
                raise _PassingError("the file is shorter now than what is there of it")
            _refuse(response, url)
            if known is not None and not _continues(response, start, known):
                _start_anew(part, advance)
                known = None
                if response.status_code == httpx.codes.PARTIAL_CONTENT:
                    raise _PassingError("the file changed in between")
            _receive(response, part, known, advance)
    except httpx.TransportError as error:
        raise _PassingError(_reason(error)) from error


def _receive(response: httpx.Response, part: Path, known: Remote | None, advance: Advance) -> None:
    """Append the body to what is there of the known file, or begin a new part."""
    remote = known or _remote(response)
    if known is None:
        write_atomically(_note(part), json.dumps(asdict(remote)).encode())
    with part.open("ab") as file:
        for chunk in response.iter_raw():
            file.write(chunk)
            advance(len(chunk))
    found = _length(part)
    if remote.length is not None and found != remote.length:
        if found > remote.length:
            _start_anew(part, advance)
        raise _PassingError(f"received {found:,} bytes of {remote.length:,}")


def _range(start: int, known: Remote | None) -> dict[str, str]:
    if known is None:
        return {}
    return {"Range": f"bytes={start}-"} | ({"If-Range": known.validator} if known.validator else {})


def _continues(response: httpx.Response, start: int, known: Remote) -> bool:
    """Whether the answer begins at byte `start` of a file of the known length."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status_code != 206 or not match or int(match[1]) != start:
        return False
    return match[2] == "*" or known.length is None or int(match[2]) == known.length


def _refuse(response: httpx.Response, url: str) -> None:
    if response.status_code in _PASSING:
        raise _PassingError(f"HTTP {response.status_code}")
    if not response.is_success:
        raise DownloadError(f"{url} answers HTTP {response.status_code}: the file is not there for us.")


def _remote(response: httpx.Response) -> Remote:
    length = response.headers.get("Content-Length", "")
    return Remote(
        length=int(length) if length.isdecimal() else None,
        etag=response.headers.get("ETag"),
        modified=response.headers.get("Last-Modified"),
    )


def _start_anew(part: Path, advance: Advance) -> None:
    advance(-_length(part))
    discard(part)


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_note(part: Path) -> Remote | None:
    try:
        return Remote(**json.loads(_note(part).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _length(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
