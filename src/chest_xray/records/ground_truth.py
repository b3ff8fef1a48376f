"""What readers say of films that were scored, as ground-truth lines in the format of SageMaker Model Monitor.

    CXR_HOME/ground-truth/{endpoint}/findings.json
    CXR_HOME/ground-truth/{endpoint}/AllTraffic/yyyy/mm/dd/hh/ground-truth.jsonl    (UTC)
    {"groundTruthData": {"data": CSV, "encoding": "CSV"}, "eventMetadata": {"eventId": UUID}, "eventVersion": "0"}

`data` has a field for each finding of `findings.json`, in their order: 1 (present), 0 (absent) or nothing (not judged);
then the reader's note. A later line of an event replaces the earlier ones.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from chest_xray.errors import GroundTruthError
from chest_xray.files import append_line, write_once
from chest_xray.finding_names import check_findings

FOLDER: Final = "ground-truth"
VARIANT: Final = "AllTraffic"
_FILE: Final = "ground-truth.jsonl"
_FINDINGS_FILE: Final = "findings.json"
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
    """The ground truth of one endpoint below CXR_HOME. Several processes may write; only their user may read.

    `findings` are those of the model that is judged; all lines of an endpoint are of the same.
    """

    def __init__(self, home: Path, endpoint: str, findings: Sequence[str]) -> None:
        self._root: Final = home / FOLDER
        self._list: Final = self._root / endpoint / _FINDINGS_FILE
        self.folder: Final = self._root / endpoint / VARIANT
        self.findings: Final = tuple(findings)

    @classmethod
    def kept(cls, home: Path, endpoint: str, *, otherwise: Callable[[], Sequence[str]] | None = None) -> Self:
        """The log of what was kept; `otherwise` gives its findings where it is from before it told them itself.

        Raises:
            GroundTruthError: nothing was ever written for this endpoint, or its list is not there or cannot be read.
        """
        log = cls(home, endpoint, ())
        log._demand()
        kept = log._kept_findings()
        if kept is None and otherwise is None:
            raise GroundTruthError(f"{log._list} is not there: on which findings the judgements are, nothing tells.")
        return cls(home, endpoint, kept or (otherwise() if otherwise else ()))

    def check(self) -> None:
        """Pass where judgements of these findings can be kept beside those that are there.

        Raises:
            GroundTruthError: those that are there are of other findings, or their list cannot be read.
        """
        kept = self._kept_findings()
        if kept is None:
            count = self._kept_count()
            judged = None if count in {None, len(self.findings)} else f"{count} findings"
        else:
            judged = None if kept == self.findings else ", ".join(kept)
        if judged is not None:
            raise GroundTruthError(
                f"{self._list.parent} has judgements on {judged}; this model tells {', '.join(self.findings)}. "
                "Deploy it to an endpoint of another name, or move that folder away."
            )

    def write(self, truth: GroundTruth, time: datetime) -> None:
        """Bring one line, whole, to the disk. `time` is UTC.

        Raises:
            GroundTruthError: it could not be written, or others are on other findings; nothing of it is there.
            ValueError: it is on a finding that is none of the log's.
        """
        line = format_line(truth, self.findings)
        path = self.folder / f"{time:%Y/%m/%d/%H}" / _FILE
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._name_findings()
            append_line(path, line, sync=True)
        except OSError as error:
            raise GroundTruthError(
                f"{path} cannot be written ({error.strerror}). Free some space or make it writable."
            ) from error

    def read(self, since: date | None = None) -> Collection:
        """Every event's last judgement, from the UTC day `since` on.

        Raises:
            GroundTruthError: nothing was ever written for this endpoint, or a file cannot be read.
        """
        self._demand()
        found = Collection()
        try:
            for path in _files(self.folder, since):
                _read_file(path, self.findings, found)
        except OSError as error:
            raise GroundTruthError(f"{error.filename} cannot be read: {error.strerror}.") from error
        return found

    def _demand(self) -> None:
        if not self.folder.is_dir():
            raise GroundTruthError(
                f"{self.folder} does not exist: no feedback was given yet. It comes from the page of `cxr serve`."
            )

    def _name_findings(self) -> None:
        """Write the list with the first judgement, once it is known to be that of all others."""
        self.check()
        if not self._list.exists():
            write_once(self._list, json.dumps(self.findings).encode() + b"\n")
            self.check()

    def _kept_findings(self) -> tuple[str, ...] | None:
        """The findings that the lines are on; None where nothing was written, or before they were named."""
        try:
            return check_findings(_NAMES.validate_json(self._list.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise GroundTruthError(
                f"{self._list} cannot be read: expected a JSON list of findings. Put it back from a backup."
            ) from error

    def _kept_count(self) -> int | None:
        """How many findings the lines are on, by the first that is whole; None where there is none."""
        for path in _files(self.folder, None):
            with path.open("rb") as lines:
                for line in lines:
                    with suppress(ValueError, csv.Error):
                        if fields := _fields(_event(line)):
                            return len(fields) - 1
        return None


def format_line(truth: GroundTruth, findings: Sequence[str]) -> bytes:
    """The line of a judgement, with its newline.

    Raises:
        ValueError: it is on what is none of the findings.
    """
    if not truth.findings.keys() <= set(findings):
        raise ValueError(f"a judgement on {', '.join(truth.findings)}; expected {', '.join(findings)}")
    row = io.StringIO()
    judged = (truth.findings.get(finding) for finding in findings)
    csv.writer(row).writerow([*("" if value is None else _WRITTEN[value] for value in judged), truth.note])
    event = {
        "groundTruthData": {"data": row.getvalue().removesuffix("\r\n"), "encoding": "CSV"},
        "eventMetadata": {"eventId": truth.event_id},
        "eventVersion": "0",
    }
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def parse_line(line: bytes, findings: Sequence[str]) -> GroundTruth:
    """The judgement of a line.

    Raises:
        ValueError: it is no line that `format_line` writes for these findings; says in what.
    """
    event = _event(line)
    fields = _fields(event)
    if len(fields) != len(findings) + 1:
        raise ValueError(f"the data are not one row of {len(findings) + 1} fields")
    *judged, note = fields
    if not {"", *_READ}.issuperset(judged):
        raise ValueError("a finding is neither 1 nor 0 nor empty")
    present = {finding: _READ[value] for finding, value in zip(findings, judged, strict=True) if value}
    return GroundTruth(str(event.event_metadata.event_id), present, note)


def _event(line: bytes) -> _Event:
    try:
        return _Event.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'the line'}: {first['msg']}") from None


def _fields(event: _Event) -> list[str]:
    """The fields of its one row; none where it has several."""
    rows = list(csv.reader(io.StringIO(event.ground_truth_data.data, newline=""), strict=True))
    return rows[0] if len(rows) == 1 else []


_NAMES: Final = TypeAdapter(list[str])


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


def _read_file(path: Path, findings: Sequence[str], into: Collection) -> None:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                truth = parse_line(line, findings)
            except (ValueError, csv.Error) as error:
                into.faults.append(Fault(path, number, str(error)))
            else:
                into.truths[truth.event_id] = truth
