"""The maps of test images against their boxes: which boxes, what they are held to, and the figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chest_xray.console import progress
from chest_xray.data.shards import Shards
from chest_xray.evaluation.localise.boxes import BoxTable
from chest_xray.evaluation.localise.controls import RANDOM_DRAWS, average_places, centre_marks, random_marks
from chest_xray.evaluation.localise.figures import Hits, figures_of
from chest_xray.evaluation.localise.panel import panel_png
from chest_xray.evaluation.localise.regions import MEASURES, POINT_MEASURES, Marks, StackedMarks, find_marks
from chest_xray.evaluation.localise.results import TOLERANCE, LocalisationMethod, LocalisationReport
from chest_xray.images.class_maps import evidence
from chest_xray.notices import PHANTOM
from chest_xray.statistics import Floats

MapsOf = Callable[[NDArray[np.int64]], NDArray[np.float32]]


class Measured(NamedTuple):
    """The report, and for phantoms a picture of it (PNG)."""

    report: LocalisationReport
    panel: bytes | None


def localise(shards: Shards, maps_of: MapsOf, *, rounds: int, seed: int) -> Measured | None:
    """Hold the maps of the test images to their boxes; None where no test image has a box.

    Args:
        shards: the prepared data.
        maps_of: positions in the shards (n,) to class activation maps (n, F, h, w).
        rounds: bootstrap rounds over patients.
        seed: of the bootstrap and of the maps of noise.
    """
    table = BoxTable.of(shards, shards.rows("test"))
    if len(table.rows) == 0:
        return None
    films = np.unique(table.rows)
    maps = maps_of(films)
    side = shards.image_size
    cells = (maps.shape[2], maps.shape[3])
    noise = random_marks(cells, side, draws=RANDOM_DRAWS, seed=seed)
    cams = maps[np.searchsorted(films, table.rows), table.findings]
    found = figures_of(hold_to_boxes(table, cams, side, noise), rounds=rounds, seed=seed)
    counts = shards.dataset["counts"]
    report = LocalisationReport(
        method=LocalisationMethod(cells=cells, side=side, random_draws=RANDOM_DRAWS, rounds=rounds, seed=seed),
        overall=found.overall,
        findings=found.findings,
        boxes_without_image=counts["boxes_without_image"],
        boxes_outside_test=counts["boxes"] - len(table.rows),
        boxes_without_label=int(np.count_nonzero(shards.labels[table.rows, table.findings] == 0)),
    )
    return Measured(report, panel_png(shards, table, cams) if shards.label_version == PHANTOM else None)


def hold_to_boxes(table: BoxTable, cams: NDArray[np.float32], side: int, noise: StackedMarks) -> Hits:
    """Hold each box's own map (n, h, w), the maps of noise and the average places to the boxes."""
    boxes, tolerance = table.places * side, TOLERANCE * side
    average = _average_places(table, side)
    middle_marks = centre_marks((cams.shape[1], cams.shape[2]), side)
    model, random, middle, place = (np.full((len(boxes), len(MEASURES)), np.nan) for _ in range(4))
    empty, false_regions = np.zeros(len(boxes), dtype=bool), np.full(len(boxes), np.nan)
    maps, map_of = np.unique(np.column_stack([table.rows, table.findings]), axis=0, return_inverse=True)
    with progress("Holding maps to boxes", len(boxes), "boxes") as advance:
        for number in range(len(maps)):
            mine = np.flatnonzero(map_of == number)
            marks = find_marks(evidence(cams[mine[0]], side, side))
            model[mine] = _hits(StackedMarks.of([marks]), boxes[mine], tolerance)
            random[mine] = _hits(noise, boxes[mine], tolerance)
            middle[mine] = _hits(middle_marks, boxes[mine], tolerance)
            if (other := average[mine[0]]) is not None:
                place[mine] = _hits(StackedMarks.of([other]), boxes[mine], tolerance)
            empty[mine[0]] = len(marks.regions) == 0
            false_regions[mine[0]] = _false_regions(marks, boxes[mine])
            advance(len(mine))
    return Hits(
        names=table.names,
        findings=table.findings,
        rows=table.rows,
        patients=table.patients,
        model=model,
        random=random,
        middle=middle,
        place=place,
        empty=empty,
        false_regions=false_regions,
    )


def _hits(marks: StackedMarks, boxes: Floats, tolerance: float) -> Floats:
    """The share of D maps that hit each of one film's boxes of a finding: (m, M).

    Peak and centre are one point a map, which hits when it lies in any of the boxes: the first row has that, the others
    are NaN (Zhang et al. 2018). Overlap is of each box (Wang et al. 2017).
    """
    each = np.stack([marks.hits(box, tolerance) for box in boxes]).astype(np.float64)
    shares: Floats = each.mean(axis=1)
    shares[0, :POINT_MEASURES] = each[:, :, :POINT_MEASURES].max(axis=0).mean(axis=0)
    shares[1:, :POINT_MEASURES] = np.nan
    return shares


def _average_places(table: BoxTable, side: int) -> list[Marks | None]:
    found: list[Marks | None] = [None] * len(table.rows)
    for finding in np.unique(table.findings):
        places = np.flatnonzero(table.findings == finding)
        marks = average_places(table.places[places] * side, table.patients[places], side)
        for n, one in zip(places.tolist(), marks, strict=True):
            found[n] = one
    return found


def _false_regions(marks: Marks, boxes: Floats) -> int:
    """Regions that share no area with any of the boxes (m, 4)."""
    sides = np.minimum(marks.regions[:, None, 2:], boxes[:, 2:]) - np.maximum(marks.regions[:, None, :2], boxes[:, :2])
    touching: NDArray[np.bool_] = np.all(sides > 0, axis=2)
    return int(np.count_nonzero(~touching.any(axis=1)))
