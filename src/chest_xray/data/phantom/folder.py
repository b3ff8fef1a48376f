"""Write the phantom as a folder that nobody can tell from NIH's by its form.

    cxr phantom OUT

Everything is drawn into a hidden folder beside OUT, which takes OUT's name when it is complete: OUT is whole or absent.
What a killed run left of the hidden folder is removed by the next one.
"""

import csv
import io
import json
import shutil
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import numpy as np
from PIL import Image

from chest_xray.console import progress
from chest_xray.cpus import available_cpus
from chest_xray.data.phantom.cohort import Patient, image_name, sample_cohort
from chest_xray.data.phantom.difficulty import DIFFICULTY, Difficulty
from chest_xray.data.phantom.film import Box, draw_film
from chest_xray.data.prepare.pool import run_tasks
from chest_xray.errors import DataError
from chest_xray.findings import BBOX_SPELLING, FINDINGS, NO_FINDING
from chest_xray.lock import only_one

DRAWING: Final = 1  # raised when the same parameters give other films
PARAMETERS_FILE: Final = "phantom.json"
ENTRIES_FILE: Final = "Data_Entry_2017_v2020.csv"
BOXES_FILE: Final = "BBox_List_2017.csv"
TRAIN_VAL_FILE: Final = "train_val_list.txt"
TEST_FILE: Final = "test_list.txt"
ENTRIES_HEADER: Final = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
BOXES_HEADER: Final = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
SMALLEST_SIZE: Final = 128
LARGEST_SIZE: Final = 1024

# Width, height and pixel spacing in mm of the detectors that NIH's films come from, by view.
_DETECTORS: Final = {
    "PA": ((2992, 2991, 0.143), (2048, 2500, 0.171), (2500, 2048, 0.171)),
    "AP": ((3056, 2544, 0.139), (2500, 2048, 0.168), (2544, 3056, 0.139)),
}
_WRITTEN_AS: Final = {ours: theirs for theirs, ours in BBOX_SPELLING.items()}


@dataclass(frozen=True)
class PhantomReport:
    """What a phantom folder holds. `findings` counts images by finding; `drawn` is False when it was there already."""

    output: Path
    images: int
    patients: int
    test_images: int
    test_patients: int
    boxes: int
    no_finding: int
    findings: dict[str, int]
    drawn: bool


class _Task(NamedTuple):
    folder: Path
    patient: Patient
    size: int
    seed: int
    difficulty: Difficulty


def write_phantom(
    output: Path,
    *,
    images: int = 4000,
    size: int = 512,
    seed: int = 0,
    workers: int | None = None,
    difficulty: Difficulty = DIFFICULTY,
) -> PhantomReport:
    """Draw exactly `images` films of size x size pixels (128 to 1024) as an NIH-format folder `output`.

    The bytes depend on images, size, seed and difficulty, never on `workers` (default: one for each CPU). A finished
    folder of the same parameters is left as it is.

    Raises:
        DataError: a size or number of images out of range, an `output` that holds something else, or one that
            another process draws.
        SettingsError: the folder of `output` is not writable.
        OSError: the disk is full; nothing is left behind but an empty, hidden lock file.
    """
    if not SMALLEST_SIZE <= size <= LARGEST_SIZE:
        raise DataError(f"size {size} was asked for; a phantom film is {SMALLEST_SIZE} to {LARGEST_SIZE} pixels wide")
    if seed < 0:
        raise DataError(f"seed {seed} was asked for; a seed is 0 or more")
    if workers is not None and workers < 1:
        raise DataError(f"{workers} workers were asked for; at least one process must draw")
    parameters = {
        "drawing": DRAWING, "images": images, "size": size, "seed": seed, "difficulty": asdict(difficulty),
    }  # fmt: skip
    finished = _finished(output, parameters)
    if finished is not None:
        return finished
    cohort = sample_cohort(images, seed, difficulty)
    lock = output.parent / f".{output.name}.lock"
    with only_one(lock, DataError(f"Another process draws {output}: run this again when it is done.")):
        # Whoever held the lock before may have drawn it.
        report = _finished(output, parameters)
        if report is None:
            report = _draw(output, cohort, parameters, available_cpus() if workers is None else workers, difficulty)
    with suppress(OSError):  # Who still waits for the lock finds a finished phantom.
        lock.unlink()
    return report


def _draw(
    output: Path, cohort: list[Patient], parameters: dict[str, Any], workers: int, difficulty: Difficulty
) -> PhantomReport:
    images, size, seed = parameters["images"], parameters["size"], parameters["seed"]
    with _whole_folder(output) as folder:
        (folder / "images").mkdir()
        tasks = [_Task(folder, patient, size, seed, difficulty) for patient in cohort]
        boxes = _draw_all(tasks, images, workers)
        report = _report(output, cohort, sum(len(found) for found in boxes.values()))
        _write_tables(folder, cohort, boxes, seed)
        counts = {key: value for key, value in asdict(report).items() if key not in ("output", "drawn")}
        (folder / PARAMETERS_FILE).write_text(json.dumps({**parameters, "counts": counts}, indent=2) + "\n")
    return report


def _finished(output: Path, parameters: dict[str, Any]) -> PhantomReport | None:
    """Report on an output that is this phantom already; None when there is nothing yet."""
    if not output.exists():
        return None
    if not output.is_dir():
        raise DataError(f"{output} is a file; a phantom is written to a new or empty folder")
    if not any(output.iterdir()):
        return None
    try:
        stored = json.loads((output / PARAMETERS_FILE).read_text())
        counts = stored.pop("counts")
        drawn = sum(1 for _ in (output / "images").glob("*.png"))
        complete = drawn == counts["images"] and (output / ENTRIES_FILE).is_file()
        if stored == parameters and complete:
            return PhantomReport(output=output, drawn=False, **counts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{output} holds something else than a finished phantom; name a new folder") from error
    differs = sorted(key for key in parameters if stored.get(key) != parameters[key]) or ["missing files"]
    raise DataError(f"{output} holds another phantom (different: {', '.join(differs)}); name a new folder or delete it")


@contextmanager
def _whole_folder(output: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `output` that takes its name at the end, or is removed if anything goes wrong.

    Its name is the same in every run, so that one that was killed leaves nothing that adds up.
    """
    part = output.parent / f".{output.name}.part"
    if part.exists():
        shutil.rmtree(part)
    part.mkdir()
    try:
        yield part
        if output.exists():
            output.rmdir()
        part.rename(output)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _draw_all(tasks: list[_Task], images: int, workers: int) -> dict[str, list[Box]]:
    """Draw every patient; image name -> boxes."""
    boxes: dict[str, list[Box]] = {}
    # Closed before the folder is removed: workers still drawing would put files back into it.
    running = cast(
        "Generator[tuple[_Task, dict[str, list[Box]]], None, None]", run_tasks(_draw_patient, tasks, workers)
    )
    with progress("Drawing films", images) as advance, closing(running) as results:
        for task, found in results:
            boxes.update(found)
            advance(len(task.patient.visits))
    return boxes


def _draw_patient(task: _Task) -> dict[str, list[Box]]:
    boxes = {}
    for visit in task.patient.visits:
        name = image_name(task.patient.number, visit.number)
        film = draw_film(task.patient, visit, task.size, task.seed, task.difficulty)
        Image.fromarray(film.pixels).save(task.folder / "images" / name, compress_level=1)
        boxes[name] = list(film.boxes)
    return boxes


def _report(output: Path, cohort: list[Patient], boxes: int) -> PhantomReport:
    visits = [visit for patient in cohort for visit in patient.visits]
    counts = Counter(sign.finding for visit in visits for sign in visit.signs)
    test = [patient for patient in cohort if patient.test]
    return PhantomReport(
        output=output,
        images=len(visits),
        patients=len(cohort),
        test_images=sum(len(patient.visits) for patient in test),
        test_patients=len(test),
        boxes=boxes,
        no_finding=sum(not visit.signs for visit in visits),
        findings={finding: counts[finding] for finding in FINDINGS},
        drawn=True,
    )


def _write_tables(folder: Path, cohort: list[Patient], boxes: dict[str, list[Box]], seed: int) -> None:
    entries, places = io.StringIO(), io.StringIO()
    entry_rows, place_rows = csv.writer(entries, lineterminator="\n"), csv.writer(places, lineterminator="\n")
    lists: dict[bool, list[str]] = {False: [], True: []}
    for patient in cohort:
        rng = np.random.default_rng((seed, patient.number, 9))
        for visit in patient.visits:
            name = image_name(patient.number, visit.number)
            labels = "|".join(sorted(sign.finding for sign in visit.signs)) or NO_FINDING
            detectors = _DETECTORS[visit.view]
            width, height, spacing = detectors[rng.integers(len(detectors))]
            about = (visit.number, patient.number, visit.age, patient.sex, visit.view)
            entry_rows.writerow((name, labels, *about, width, height, spacing, spacing))
            for box in boxes[name]:
                numbers = (round(value, 3) for value in (box.x, box.y, box.w, box.h))
                place_rows.writerow((name, _WRITTEN_AS.get(box.finding, box.finding), *numbers, "", "", ""))
            lists[patient.test].append(name)
    (folder / ENTRIES_FILE).write_text(f"{ENTRIES_HEADER}\n{entries.getvalue()}")
    (folder / BOXES_FILE).write_text(f"{BOXES_HEADER}\n{places.getvalue()}")
    (folder / TRAIN_VAL_FILE).write_text("\n".join(lists[False]) + "\n")
    (folder / TEST_FILE).write_text("\n".join(lists[True]) + "\n")
