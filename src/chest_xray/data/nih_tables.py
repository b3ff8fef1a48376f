"""The CSV files of an NIH folder: Data_Entry_2017[_v2020].csv and BBox_List_2017.csv, checked row by row."""

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from chest_xray.errors import DataError
from chest_xray.findings import BBOX_SPELLING, FINDINGS, NO_FINDING

OLDEST_AGE = 120.0

_COLUMNS = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position")
_BOX_COLUMNS = ("Image Index", "Finding Label")
_BOX_CORNER = "Bbox [x"
_AGE = re.compile(r"(\d{1,4}(?:\.\d+)?)([YMWD]?)")
_YEARS = {"": 1.0, "Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_SEXES = {"M": "M", "F": "F"}
_VIEWS = {"PA": "PA", "AP": "AP"}
_COUNTED_AS = {"Patient Gender": "sexes", "View Position": "views"}
_UNKNOWN = frozenset(("", "O", "U", "UNKNOWN"))


class Entry(NamedTuple):
    """One row of Data_Entry: one image."""

    image: str
    patient: int
    age: float  # years; NaN when not known
    sex: str  # 'M', 'F' or '' when not known
    view: str  # 'PA', 'AP' or '' when not known
    labels: tuple[int, ...]  # 0 or 1, in the order of the findings


class Box(NamedTuple):
    """A finding's place: the left upper corner and the size, in pixels of the image file."""

    finding: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Entries:
    """All rows of a Data_Entry file, and how many 'ages', 'sexes' and 'views' were not known."""

    rows: list[Entry]
    unknown: Counter[str] = field(default_factory=Counter)


def read_entries(path: Path) -> Entries:
    """Read Data_Entry_2017_v2020.csv or Data_Entry_2017.csv; columns are found by their header.

    Ages may be "58", "058Y", "011M" or "003D"; one over 120 years (the 2017 file has up to 414), or one
    that is not a number, is NaN and counted.

    Raises:
        DataError: naming the line and the column: a missing column, a foreign label, sex or view, a
        repeated image.
    """
    entries = Entries(rows=[])
    labels_of: dict[str, tuple[int, ...]] = {}
    seen: set[str] = set()
    for line, row in _rows(path, _COLUMNS):
        image, finding_labels, patient, age, sex, view = row
        where = f"{path}, line {line}"
        if image in seen:
            raise DataError(f"{where}: {image} has a row already; an image has one row.")
        if not image:
            raise DataError(f"{where}: the column 'Image Index' is empty; the name of an image file is expected.")
        seen.add(image)
        labels = labels_of.get(finding_labels)
        if labels is None:
            labels = labels_of[finding_labels] = _labels(finding_labels, where)
        entries.rows.append(
            Entry(
                image=image,
                patient=_patient(patient, where),
                age=_age(age, entries.unknown),
                sex=_choice(sex, _SEXES, "Patient Gender", where, entries.unknown),
                view=_choice(view, _VIEWS, "View Position", where, entries.unknown),
                labels=labels,
            )
        )
    if not entries.rows:
        raise DataError(f"{path} has a header and no rows: one row an image is expected.")
    return entries


def read_boxes(path: Path) -> dict[str, list[Box]]:
    """Read BBox_List_2017.csv: image name -> its boxes in the order of the file.

    The four numbers stand under one bracketed header that spans four columns, with empty columns after them.

    Raises:
        DataError: naming the line: a missing column, a foreign finding, a number that is none or a box
        without area.
    """
    boxes: dict[str, list[Box]] = {}
    for line, row in _rows(path, _BOX_COLUMNS, spanning=_BOX_CORNER, span=4):
        image, finding, *numbers = row
        where = f"{path}, line {line}"
        finding = BBOX_SPELLING.get(finding, finding)
        if finding not in FINDINGS:
            raise DataError(f"{where}: unknown finding {finding!r}; known: {', '.join(FINDINGS)}.")
        try:
            x, y, width, height = (float(number) for number in numbers)
        except ValueError as error:
            raise DataError(f"{where}: a box is four numbers x, y, w, h; found {', '.join(numbers)}.") from error
        if not all(map(math.isfinite, (x, y, width, height))) or width <= 0 or height <= 0:
            raise DataError(f"{where}: a box has a finite corner and a positive size; found {', '.join(numbers)}.")
        boxes.setdefault(image, []).append(Box(finding, x, y, width, height))
    return boxes


def _rows(
    path: Path, columns: tuple[str, ...], *, spanning: str = "", span: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, wanted cells); `spanning` is how a header begins that covers `span` columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            places = _places(path, header, columns, spanning, span)
            needed = max(places) + 1
            for row in reader:
                if not any(row):
                    continue
                if len(row) < needed:
                    raise DataError(
                        f"{path}, line {reader.line_num}: found {len(row)} columns, expected {needed} or more."
                    )
                yield reader.line_num, [row[place].strip() for place in places]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from error
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not a CSV file: {error}.") from error


def _places(path: Path, header: list[str], columns: tuple[str, ...], spanning: str, span: int) -> list[int]:
    places = []
    for column in columns:
        if column not in header:
            raise DataError(f"{path} has no column {column!r}; found: {', '.join(header) or 'nothing'}.")
        places.append(header.index(column))
    if spanning:
        starts = [place for place, cell in enumerate(header) if cell.startswith(spanning)]
        if not starts:
            raise DataError(f"{path} has no column that begins with {spanning!r}; found: {', '.join(header)}.")
        places.extend(range(starts[0], starts[0] + span))
    return places


def _labels(text: str, where: str) -> tuple[int, ...]:
    names = text.split("|")
    if names == [NO_FINDING]:
        return (0,) * len(FINDINGS)
    for name in names:
        if name == NO_FINDING:
            raise DataError(f"{where}: {text!r} has a finding and {NO_FINDING!r} at once.")
        if name not in FINDINGS:
            raise DataError(
                f"{where}: unknown label {name!r} in the column 'Finding Labels'; "
                f"known: {', '.join(FINDINGS)}, {NO_FINDING}."
            )
    return tuple(int(finding in names) for finding in FINDINGS)


def _patient(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise DataError(f"{where}: the column 'Patient ID' is {text!r}; a whole number is expected.")
    return int(text)


def _age(text: str, unknown: Counter[str]) -> float:
    match = _AGE.fullmatch(text.upper())
    years = float(match[1]) * _YEARS[match[2]] if match else math.nan
    if not years <= OLDEST_AGE:
        unknown["ages"] += 1
        return math.nan
    return years


def _choice(text: str, known: dict[str, str], column: str, where: str, unknown: Counter[str]) -> str:
    value = known.get(text)
    if value is None:
        if text.upper() not in _UNKNOWN:
            raise DataError(f"{where}: the column {column!r} is {text!r}; expected {' or '.join(known)}, or nothing.")
        unknown[_COUNTED_AS[column]] += 1
        return ""
    return value
