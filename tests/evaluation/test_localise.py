"""Maps against boxes: peaks, regions, overlaps and the two maps that saw no film, with values known by hand."""

import io
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from chest_xray.data.phantom import write_phantom
from chest_xray.data.prepare.prepare import prepare_data
from chest_xray.data.shards import Shards
from chest_xray.evaluation.localise.boxes import BoxTable
from chest_xray.evaluation.localise.controls import average_places, centre_marks, random_marks
from chest_xray.evaluation.localise.figures import Hits, figures_of
from chest_xray.evaluation.localise.issues import box_issues
from chest_xray.evaluation.localise.measure import hold_to_boxes, localise
from chest_xray.evaluation.localise.panel import panel_png
from chest_xray.evaluation.localise.regions import MEASURES, StackedMarks, find_marks, overlaps
from chest_xray.evaluation.localise.results import THRESHOLDS
from chest_xray.findings import FINDINGS
from chest_xray.images.class_maps import evidence

SIDE = 100
EFFUSION, MASS = FINDINGS.index("Effusion"), FINDINGS.index("Mass")


def blocks(*places: tuple[int, int, int, int, float]) -> NDArray[np.float32]:
    """A map (100, 100) of blocks (left, top, right, bottom, level) on 0."""
    levels = np.zeros((SIDE, SIDE), dtype=np.float32)
    for left, top, right, bottom, level in places:
        levels[top:bottom, left:right] = level
    return levels


def hits(levels: NDArray[np.float32], box: tuple[float, ...], tolerance: float = 0.0) -> dict[str, bool]:
    row = StackedMarks.of([find_marks(levels)]).hits(np.array(box, dtype=float), tolerance)[0]
    return dict(zip(MEASURES, row.tolist(), strict=True))


def test_a_region_is_where_the_map_reaches_half_its_maximum() -> None:
    marks = find_marks(blocks((10, 20, 30, 60, 1.0), (70, 70, 90, 80, 0.5), (50, 0, 60, 10, 0.49)))
    assert sorted(marks.regions.tolist()) == [[10, 20, 30, 60], [70, 70, 90, 80]]
    assert marks.centre.tolist() == [20, 40]


def test_the_peak_of_a_plateau_is_at_its_middle() -> None:
    assert find_marks(blocks((10, 20, 13, 25, 2.0))).peak.tolist() == [11.5, 22.5]
    assert find_marks(blocks((0, 0, 9, 9, 1.0), (40, 50, 41, 51, 3.0))).peak.tolist() == [40.5, 50.5]


def test_cells_that_touch_at_a_corner_are_one_region() -> None:
    assert find_marks(blocks((0, 0, 10, 10, 1.0), (10, 10, 20, 20, 1.0))).regions.tolist() == [[0, 0, 20, 20]]


def test_overlaps_are_those_of_the_two_boxes() -> None:
    iou, iobb = overlaps(np.array([[0.0, 0, 20, 10], [50, 50, 60, 60]]), np.array([10.0, 0, 20, 20]))
    assert iou.tolist() == [100 / 300, 0]
    assert iobb.tolist() == [100 / 200, 0]


def test_a_region_that_is_the_box_hits_at_every_threshold_and_half_of_it_only_below_a_half() -> None:
    box = (10, 20, 50, 60)
    assert all(hits(blocks((10, 20, 50, 60, 1.0)), box).values())
    half = hits(blocks((10, 20, 30, 60, 1.0)), box)
    assert [half[f"iou {t}"] for t in THRESHOLDS] == [True, True, False, False, False]  # exactly 0.5 is not over 0.5
    assert all(half[f"iobb {t}"] for t in THRESHOLDS)


def test_the_pointing_game_takes_the_peak_and_its_tolerance() -> None:
    levels = blocks((50, 20, 51, 21, 1.0))  # its peak is at (50.5, 20.5)
    beside = hits(levels, (10, 10, 47, 40), tolerance=3.5)
    assert (beside["pointing"], beside["strict"]) == (True, False)
    assert not hits(levels, (10, 10, 47, 40), tolerance=3.4)["pointing"]
    assert hits(levels, (50, 20, 51, 21))["strict"]


def test_the_best_region_counts_and_the_centre_is_of_the_one_with_the_peak() -> None:
    found = hits(blocks((0, 0, 10, 10, 1.0), (60, 60, 80, 80, 0.8)), (60, 60, 80, 80))
    assert found["iou 0.9"]
    assert not found["strict"]
    assert not found["centre"]


def test_a_map_without_evidence_hits_nothing() -> None:
    assert not any(hits(blocks(), (0, 0, 100, 100), tolerance=1000).values())


def test_noise_points_into_a_box_as_often_as_a_cell_has_its_centre_there() -> None:
    noise = random_marks((3, 3), SIDE, draws=3000, seed=0)
    rates = noise.hits(np.array([20.0, 20, 70, 80]), 0).mean(axis=0)
    assert dict(zip(MEASURES, rates, strict=True))["strict"] == pytest.approx(1 / 9, abs=0.02)
    everywhere = noise.hits(np.array([0.0, 0, 100, 100]), 0).mean(axis=0)
    assert dict(zip(MEASURES, everywhere, strict=True))["strict"] > 0.99  # all cells of a map below 0 are rare
    corners = {tuple(peak) for peak in noise.peaks[np.isfinite(noise.peaks).all(axis=1)].tolist()}
    assert {x for x, _ in corners} == {y for _, y in corners} == {16.5, 49.5, 83.5}  # never at the border
    again = random_marks((3, 3), SIDE, draws=3000, seed=0)
    np.testing.assert_array_equal(noise.peaks, again.peaks)


@pytest.mark.parametrize(("cells", "peak"), [((7, 7), (50.5, 50.5)), ((2, 4), (50.5, 50.5)), ((1, 1), (50.5, 50.5))])
def test_the_map_that_is_always_in_the_middle_points_there(cells: tuple[int, int], peak: tuple[float, float]) -> None:
    marks = centre_marks(cells, SIDE)
    np.testing.assert_allclose(marks.peaks, [peak], atol=1)
    assert marks.hits(np.array([40.0, 40, 60, 60]), 0)[0, 1]
    assert not marks.hits(np.array([0.0, 0, 30, 30]), 0)[0, 1]


def test_the_average_place_leaves_the_patients_own_boxes_out() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60]])
    first, second, third = average_places(boxes, np.array([1, 1, 2]), SIDE)
    assert first is not None
    assert third is not None
    assert first.regions.tolist() == second.regions.tolist() == [[50, 50, 60, 60]]
    assert third.regions.tolist() == [[0, 0, 10, 10]]
    assert average_places(boxes[:2], np.array([1, 1]), SIDE) == [None, None]


def table(rows: list[int], patients: list[int], places: list[tuple[float, ...]], findings: list[int]) -> BoxTable:
    return BoxTable(FINDINGS, np.array(rows), np.array(findings), np.array(places, dtype=float), np.array(patients))


def corner_cams(n: int) -> NDArray[np.float32]:
    """Maps (n, 4, 4) with evidence in the upper left cell only."""
    cams = np.full((n, 4, 4), -1.0, dtype=np.float32)
    cams[:, 0, 0] = 8
    return cams


def test_figures_are_shares_of_boxes_beside_both_controls() -> None:
    boxes = table([0, 1, 2, 3], [0, 1, 2, 3], [(0, 0, 0.25, 0.25)] * 3 + [(0.5, 0.5, 1, 1)], [EFFUSION] * 4)
    found = hold_to_boxes(boxes, corner_cams(4), SIDE, random_marks((4, 4), SIDE, draws=200, seed=0))
    report = figures_of(found, rounds=500, seed=0)
    effusion = report.findings["Effusion"]
    assert list(report.findings) == ["Effusion"]
    assert effusion == report.overall
    assert (effusion.boxes, effusion.images, effusion.patients, effusion.few_boxes) == (4, 4, 4, True)
    assert (effusion.empty_maps, effusion.false_regions) == (0, 0.25)  # the map of the fourth points elsewhere
    strict = effusion.pointing_game_strict
    assert strict.value == 0.75
    assert strict.average_place == 0.75  # the others' place, for the fourth box too
    assert (strict.gain, strict.gain_ci95) == (0, (0, 0))
    assert 0 < strict.random < 0.5
    assert strict.ci95 is not None
    assert strict.ci95[0] < 0.75 <= strict.ci95[1] == 1

    assert effusion.iou["0.9"].random < effusion.iou["0.1"].random


def test_intervals_are_over_patients_and_not_over_boxes() -> None:
    """Twenty boxes of two patients, all hit in one and all missed in the other: shares of 0, a half or 1."""
    model = np.repeat([1.0, 0.0], 10)[:, None] * np.ones(len(MEASURES))
    few = Hits(
        names=FINDINGS,
        findings=np.full(20, MASS),
        rows=np.arange(20),
        patients=np.repeat([1, 2], 10),
        model=model,
        random=np.full_like(model, 0.1),
        middle=np.full_like(model, 0.2),
        place=np.full_like(model, np.nan),
        empty=np.zeros(20, dtype=bool),
        false_regions=np.zeros(20),
    )
    figure = figures_of(few, rounds=400, seed=0).findings["Mass"].pointing_game
    assert (figure.value, figure.ci95, figure.random) == (0.5, (0, 1), pytest.approx(0.1))
    assert figure.centre_cell == pytest.approx(0.2)
    assert (figure.average_place, figure.gain, figure.gain_ci95) == (None, None, None)
    lone = replace(few, patients=np.ones(20, dtype=np.int64))
    assert figures_of(lone, rounds=400, seed=0).overall.pointing_game.ci95 is None


def test_a_peak_in_one_of_two_boxes_is_a_hit_of_the_map_and_overlap_is_of_each_box() -> None:
    boxes = table([5, 5], [1, 1], [(0, 0, 0.25, 0.25), (0.7, 0.7, 1, 1)], [MASS, MASS])
    found = hold_to_boxes(boxes, corner_cams(2), SIDE, random_marks((4, 4), SIDE, draws=10, seed=0))
    mass = figures_of(found, rounds=100, seed=0).findings["Mass"]
    assert (mass.boxes, mass.maps, mass.images, mass.false_regions) == (2, 1, 1, 0)
    assert (mass.pointing_game_strict.value, mass.centre.value, mass.iou["0.25"].value) == (1, 1, 0.5)


def test_the_map_is_the_one_that_serving_draws() -> None:
    from chest_xray.inference import heatmap

    assert heatmap.evidence is evidence


class OneFilm:
    """What the panel needs of shards."""

    def read(self, rows: list[int]) -> NDArray[np.uint8]:
        return np.full((len(rows), 64, 64), 40, np.uint8)


def test_the_panel_draws_the_median_case_of_each_finding() -> None:
    boxes = table([0, 1, 2], [0, 1, 2], [(0, 0, 0.25, 0.25), (0.5, 0, 1, 1), (0, 0, 0.5, 0.5)], [MASS, MASS, EFFUSION])
    with Image.open(io.BytesIO(panel_png(OneFilm(), boxes, corner_cams(3)))) as image:
        assert image.size[0] == 2 * 332 + 12
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels == (0, 229, 255)).all(axis=-1).sum() > 500  # the boxes


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantom(folder / "nih", images=60, size=128, workers=1)
    prepare_data(folder / "nih", folder / "shards", image_size=64, workers=1)
    return Shards.open(folder / "shards")


def test_maps_that_know_the_boxes_meet_them_and_a_picture_shows_it(phantoms: Shards) -> None:
    def know(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        maps = np.full((len(rows), 14, 64, 64), -1.0, dtype=np.float32)
        for place, row in enumerate(rows):
            for box in phantoms.boxes[row]:
                left, top, right, bottom = np.rint(
                    np.array([box.x, box.y, box.x + box.width, box.y + box.height]) * 64
                ).astype(int)
                maps[place, FINDINGS.index(box.finding), top : bottom + 1, left : right + 1] = 1
        return maps

    measured = localise(phantoms, know, rounds=200, seed=0)
    assert measured is not None
    report = measured.report
    tests = [box for row in phantoms.rows("test") for box in phantoms.boxes[row]]
    assert report.overall.boxes == len(tests) == sum(found.boxes for found in report.findings.values())
    assert report.boxes_outside_test == sum(map(len, phantoms.boxes)) - len(tests)
    assert (report.boxes_without_image, report.boxes_without_label) == (0, 0)
    assert report.method.cells == (64, 64)
    overall = report.overall
    assert (overall.pointing_game.value, overall.centre.value, overall.empty_maps) == (1, 1, 0)
    assert overall.pointing_game.ci95 == (pytest.approx(0.025 ** (1 / overall.patients)), 1)  # exact: no spread
    assert overall.iou["0.5"].value > 0.9 > overall.iou["0.5"].random
    assert overall.pointing_game.random < 0.4
    assert measured.panel is not None
    assert measured.panel.startswith(b"\x89PNG")


def test_boxes_that_are_left_out_or_contradict_the_labels_are_reported(
    phantoms: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = [(row, box.finding) for row in phantoms.rows("test") for box in phantoms.boxes[row]]
    outside = sum(map(len, phantoms.boxes)) - len(tests)
    left_out = f"{outside} boxes are of images outside the test list; they are not measured."
    assert [issue.reason for issue in box_issues(phantoms)] == [left_out]
    counts = phantoms.dataset["counts"]
    monkeypatch.setitem(phantoms.dataset, "counts", counts | {"boxes": len(tests), "boxes_without_image": 3})
    row, finding = tests[0]
    monkeypatch.setattr(phantoms, "labels", phantoms.labels.copy())
    phantoms.labels[row, FINDINGS.index(finding)] = 0
    same = tests.count(tests[0])
    assert [(issue.kind, issue.reason) for issue in box_issues(phantoms)] == [
        ("boxes_not_measured", "3 boxes are of images that are not there; they are not measured."),
        (
            "boxes_without_label",
            f"{same} boxes are of findings that their image is not labelled with; they are measured.",
        ),
    ]


def test_films_of_patients_are_measured_and_not_drawn(phantoms: Shards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phantoms, "label_version", "v2020")
    measured = localise(phantoms, lambda rows: np.ones((len(rows), 14, 4, 4), dtype=np.float32), rounds=100, seed=0)
    assert measured is not None
    assert measured.panel is None


def test_without_boxes_there_is_no_section(phantoms: Shards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phantoms, "boxes", [()] * len(phantoms))
    assert localise(phantoms, lambda rows: np.empty((0, 14, 4, 4), dtype=np.float32), rounds=100, seed=0) is None
