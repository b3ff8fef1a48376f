"""What readers say of films that were scored, as ground-truth lines in the format of SageMaker Model Monitor.

    CXR_HOME/ground-truth/{endpoint}/AllTraffic/yyyy/mm/dd/hh/ground-truth.jsonl    (UTC)
    {"groundTruthData": {"data": CSV, "encoding": "CSV"}, "eventMetadata": {"eventId": UUID}, "eventVersion": "0"}

`data` has 15 fields: for each of `FINDINGS`, in their order, 1 (present), 0 (absent) or nothing (not judged); then the
reader's note. A later line of an event replaces the earlier ones.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from chest_xray.errors import GroundTruthError
from chest_xray.files import append_line
from chest_xray.findings import FINDINGS

FOLDER: Final = "ground-truth"
VARIANT: Final = "AllTraffic"
_FILE: Final = "ground-truth.jsonl"
_WRITTEN: Final = {True: "1", False: "0"}
_READ: Final = {written: value for value, written in _WRITTEN.items()}


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """One reader's judgement of one film: `findings` has those judged, True for present."""

    event_id: str
    findings: Mapping[str, bool]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that is no ground truth of this project: torn, or another's. `line` counts from 1."""

    path: Path
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Collection:
    """The last judgement of each event, by its id, and the lines that could not be read."""

    truths: dict[str, GroundTruth] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


class GroundTruthLog:
    """The ground truth of one endpoint below CXR_HOME. Several processes may write; only their user may read."""

    def __init__(self, home: Path, endpoint: str) -> None:
        self._root: Final = home / FOLDER
        self.folder: Final = self._root / endpoint / VARIANT

    def write(self, truth: GroundTruth, time: datetime) -> None:
        """Bring one line, whole, to the disk. `time` is UTC.

        Raises:
            GroundTruthError: it could not be written; nothing of it is there.
        """
        path = self.folder / f"{time:%Y/%m/%d/%H}" / _FILE
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            append_line(path, format_line(truth), sync=True)
        except OSError as error:
            raise GroundTruthError(
                f"{path} cannot be written ({error.strerror}). Free some space or make it writable."
            ) from error

    def read(self, since: date | None = None) -> Collection:
        """Every event's last judgement, from the UTC day `since` on.

        Raises:
            GroundTruthError: nothing was ever written for this endpoint, or a file cannot be read.
        """
        if not self.folder.is_dir():
            raise GroundTruthError(
                f"{self.folder} does not exist: no feedback was given yet. It comes from the page of `cxr serve`."
            )
        found = Collection()
        try:
            for path in _files(self.folder, since):
                _read_file(path, found)
        except OSError as error:
            raise GroundTruthError(f"{error.filename} cannot be read: {error.strerror}.") from error
        return found


def format_line(truth: GroundTruth) -> bytes:
    """The line of a judgement, with its newline."""
    row = io.StringIO()
    judged = (truth.findings.get(finding) for finding in FINDINGS)
    csv.writer(row).writerow([*("" if value is None else _WRITTEN[value] for value in judged), truth.note])
    event = {
        "groundTruthData": {"data": row.getvalue().removesuffix("\r\n"), "encoding": "CSV"},
        "eventMetadata": {"eventId": truth.event_id},
        "eventVersion": "0",
    }
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def parse_line(line: bytes) -> GroundTruth:
    """The judgement of a line.

    Raises:
        ValueError: it is no line that `format_line` writes; says in what.
    """
    try:
        event = _Event.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'the line'}: {first['msg']}") from None
    rows = list(csv.reader(io.StringIO(event.ground_truth_data.data, newline=""), strict=True))
    if len(rows) != 1 or len(rows[0]) != len(FINDINGS) + 1:
        raise ValueError(f"the data are not one row of {len(FINDINGS) + 1} fields")
    *judged, note = rows[0]
    if not {"", *_READ}.issuperset(judged):
        raise ValueError("a finding is neither 1 nor 0 nor empty")
    findings = {finding: _READ[value] for finding, value in zip(FINDINGS, judged, strict=True) if value}
    return GroundTruth(str(event.event_metadata.event_id), findings, note)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class _Data(_Strict):
    data: str
    encoding: Literal["CSV"]


class _Metadata(_Strict):
    event_id: UUID


class _Event(_Strict):
    ground_truth_data: _Data
    event_metadata: _Metadata
    event_version: Literal["0"]


def _files(folder: Path, since: date | None) -> Iterator[Path]:
    """The files of the hours from `since` on, in the order of time."""
    first = "" if since is None else f"{since:%Y/%m/%d}"
    for path in sorted(folder.glob("*/*/*/*/*.jsonl")):
        if path.relative_to(folder).as_posix() >= first:
            yield path


def _read_file(path: Path, into: Collection) -> None:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                truth = parse_line(line)
            except (ValueError, csv.Error) as error:
                into.faults.append(Fault(path, number, str(error)))
            else:
                into.truths[truth.event_id] = truth
