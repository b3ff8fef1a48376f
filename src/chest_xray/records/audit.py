"""Who asked for what, when, and which model answered: one JSON line for each image.

An image is named by its HMAC-SHA256 under a secret of the installation: the holder of a film and of the secret finds
its lines, nobody else learns from a line which film it was. No line has a file name, a DICOM value, an address or a
score.

Lines are not synced to the disk one by one: a killed process loses none, a power cut may lose the last seconds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from chest_xray.errors import AuditError
from chest_xray.files import append_line, write_once
from chest_xray.prediction import ModelIdentity

FOLDER: Final = "audit"
KEY_FILE: Final = "audit.key"
_KEY_BYTES: Final = 32
_EVENT: Final = re.compile(rb'"event_id":"([0-9a-f-]{36})"')


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One image of one request.

    `time` is UTC. `image` is `Audit.fingerprint` of its bytes, None where no byte came. `code` is the problem's code
    when it was refused; `viewed` is a film whose pixels went to a viewer. `in_distribution` is the guard's verdict,
    None where the film was not scored. `event_id` is that of the scores: feedback on them names it.
    `no_operating_point` are the findings that the model cannot flag; `withheld` says why it flagged none of a film.
    """

    time: datetime
    request_id: str
    caller: str
    image: str | None
    media_type: str | None
    outcome: Literal["scored", "viewed", "refused"]
    code: str | None
    model: ModelIdentity
    in_distribution: bool | None
    flagged: tuple[str, ...] = ()
    no_operating_point: tuple[str, ...] = ()
    event_id: str | None = None
    withheld: str | None = None


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """Somebody had the withheld scores of `event_id` shown."""

    time: datetime
    request_id: str
    caller: str
    event_id: str
    model: ModelIdentity


@dataclass(frozen=True, slots=True)
class FeedbackEntry:
    """A reader's judgement of the film that was scored as `event_id`; what it says stands in the ground truth alone."""

    time: datetime
    request_id: str
    caller: str
    event_id: str
    model: ModelIdentity


Entry = AuditEntry | ShownEntry | FeedbackEntry
_EVENTS: Final = {AuditEntry: "prediction", ShownEntry: "withheld_shown", FeedbackEntry: "feedback"}


class Audit(Protocol):
    """Keeps audit entries. Safe to call from several threads at once."""

    def fingerprint(self, image: bytes) -> str:
        """The keyed hash that stands for an image: HMAC-SHA256, 64 hexadecimal digits."""
        ...

    def record(self, entry: Entry) -> None:
        """Keep one entry.

        Raises:
            AuditError: it could not be written; the answer that it stands for must not go out.
        """
        ...


class _KeyedAudit:
    """The part that both have: the key and the line."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.key_id: Final = hashlib.sha256(b"cxr audit key id" + key).hexdigest()[:8]

    def fingerprint(self, image: bytes) -> str:
        """HMAC-SHA256 of the image under this audit's key."""
        return hmac.digest(self._key, image, "sha256").hex()

    def _line(self, entry: Entry) -> bytes:
        fields = _common_fields(entry)
        if isinstance(entry, AuditEntry):
            fields |= {
                "image": entry.image,
                # Lines of different keys cannot be compared by their images.
                "image_key": self.key_id,
                "media_type": entry.media_type,
                "outcome": entry.outcome,
                "code": entry.code,
                "in_distribution": entry.in_distribution,
                "flagged": list(entry.flagged),
                "no_operating_point": list(entry.no_operating_point),
                "withheld": entry.withheld,
            }
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def _common_fields(entry: Entry) -> dict[str, object]:
    model = entry.model
    return {
        "event": _EVENTS[type(entry)],
        "time": entry.time.isoformat(timespec="milliseconds"),
        "request_id": entry.request_id,
        "event_id": entry.event_id,
        "caller": entry.caller,
        "model": {"name": model.name, "version": model.version, "digest": model.digest},
    }


class FileAudit(_KeyedAudit):
    """A file a UTC day, `audit-YYYY-MM-DD.jsonl`, mode 0600, that several processes may append to."""

    def __init__(self, folder: Path, key: bytes) -> None:
        super().__init__(key)
        self.folder: Final = folder

    @classmethod
    def open(cls, home: Path) -> Self:
        """The audit log below CXR_HOME; folder (0700) and key (0600) are made if need be.

        Raises:
            AuditError: the folder cannot be written, or the key is damaged.
        """
        folder = home / FOLDER
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            key = _key_of_installation(home / KEY_FILE)
            writable = os.access(folder, os.W_OK | os.X_OK)
        except OSError as error:
            raise _unwritable(folder, error) from error
        if not writable:
            raise AuditError(f"The audit log {folder} cannot be written: make it writable for this user.")
        return cls(folder, key)

    def record(self, entry: Entry) -> None:
        """Append one line in one write.

        Raises:
            AuditError: the line could not be written whole.
        """
        path = self.folder / f"audit-{entry.time:%Y-%m-%d}.jsonl"
        try:
            append_line(path, self._line(entry))
        except OSError as error:
            raise _unwritable(path, error) from error


class StreamAudit(_KeyedAudit):
    """Lines to a stream, for containers. A read-only file system keeps no secret: the key lives as long as the process.

    Images of two processes can therefore not be compared; `image_key` tells the processes apart.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(secrets.token_bytes(_KEY_BYTES))
        self._stream = stream
        self._lock = threading.Lock()

    def record(self, entry: Entry) -> None:
        """Write one line and flush it.

        Raises:
            AuditError: the stream is closed or full.
        """
        try:
            with self._lock:
                self._stream.write(self._line(entry))
                self._stream.flush()
        except (OSError, ValueError) as error:
            raise AuditError(f"The audit stream cannot be written ({error}): keep it open.") from error


@dataclass(frozen=True, slots=True)
class Scored:
    """What the audit log has of one event."""

    model: str
    flagged: frozenset[str]
    no_operating_point: frozenset[str]
    withheld: str | None = None

    def flag(self, finding: str) -> bool | None:
        """Whether a finding was flagged; None for one without an operating point, or where scores were withheld."""
        if self.withheld is not None or finding in self.no_operating_point:
            return None
        return finding in self.flagged


def read_scored(folder: Path, events: Iterable[str]) -> dict[str, Scored]:
    """What the audit log in `folder` has of these events. Lines of others are not parsed."""
    wanted = set(events)
    found = {}
    for path in sorted(folder.glob("audit-*.jsonl")):
        with path.open("rb") as lines:
            for line in lines:
                match = _EVENT.search(line)
                if match and match[1].decode() in wanted and (scored := _parse(line)) is not None:
                    found[match[1].decode()] = scored
    return found


class _Model(BaseModel):
    name: str
    version: int | None


class _Line(BaseModel):
    """What is used of a line of the audit log on a film that was scored."""

    model_config = ConfigDict(frozen=True)

    model: _Model
    flagged: frozenset[str]
    no_operating_point: frozenset[str] = frozenset()
    withheld: str | None = None


def _parse(line: bytes) -> Scored | None:
    """None for a line that is torn, or is not on a film that was scored."""
    try:
        fields = json.loads(line)
        if fields.get("event") != "prediction" or fields.get("outcome") != "scored":
            return None
        read = _Line.model_validate(fields)
    except (ValueError, ValidationError):
        return None
    version = "" if read.model.version is None else f" version {read.model.version}"
    return Scored(f"{read.model.name}{version}", read.flagged, read.no_operating_point, read.withheld)


def _key_of_installation(path: Path) -> bytes:
    """The key in `path`, 64 hexadecimal digits, drawn by whoever comes first."""
    if not path.exists():
        write_once(path, secrets.token_hex(_KEY_BYTES).encode() + b"\n")
    text = path.read_bytes().strip()
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise AuditError(
            f"{path} holds {len(text)} bytes; expected {2 * _KEY_BYTES} hexadecimal digits. Put the file back from a "
            "backup, or remove it to draw a new key: images in older lines are then no longer found."
        )
    return key


def _unwritable(path: Path, error: OSError) -> AuditError:
    return AuditError(
        f"The audit log {path} cannot be written ({error.strerror}). Free some space or make it writable."
    )
