"""The phantom: an NIH folder, whole or absent, with true boxes, NIH's kind of prevalence, and no cheap way to score."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.support.processes import ROOT, start_python

from chest_xray import lock
from chest_xray.data.nih_tables import read_boxes, read_entries
from chest_xray.data.phantom import DIFFICULTY, Difficulty, draw_golden_film, folder, write_phantom
from chest_xray.data.phantom.anatomy import LEFT, RIGHT, grow, pose
from chest_xray.data.phantom.chronic import reshape
from chest_xray.data.phantom.cohort import Patient, Sign, Visit, sample_cohort
from chest_xray.data.phantom.film import Film, draw_film
from chest_xray.errors import DataError
from chest_xray.findings import FINDINGS

DIFFUSE = {"Edema", "Emphysema", "Fibrosis"}
LOCAL = [finding for finding in FINDINGS if finding not in DIFFUSE]
ENTRIES_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)


def film_of(finding: str | None, severity: float = 0.8, *, patient: int = 1, size: int = 256) -> Film:
    """The same film with or without one finding."""
    signs = () if finding is None else (Sign(finding, severity, 1),)
    visit = Visit(0, 55, "PA", signs)
    return draw_film(Patient(patient, "MF"[patient % 2], False, (visit,)), visit, size, seed=3)


def change(finding: str, severity: float = 0.8, *, patient: int = 1) -> np.ndarray:
    """Squared difference that the finding makes, noise of the film left out by averaging 4 x 4 pixels."""
    with_it, without = (film_of(f, severity, patient=patient).pixels.astype(float) for f in (finding, None))
    return ((with_it - without).reshape(64, 4, 64, 4).mean(axis=(1, 3))) ** 2


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom") / "out"
    write_phantom(root, images=40, size=128, seed=5, workers=1)
    return root


def test_bytes_do_not_depend_on_the_number_of_workers(phantom: Path, tmp_path: Path) -> None:
    write_phantom(tmp_path / "two", images=40, size=128, seed=5, workers=2)
    assert contents(tmp_path / "two") == contents(phantom)


def test_another_seed_gives_other_patients_and_films(phantom: Path, tmp_path: Path) -> None:
    write_phantom(tmp_path / "other", images=40, size=128, seed=6, workers=1)
    other, mine = contents(tmp_path / "other"), contents(phantom)
    assert other["Data_Entry_2017_v2020.csv"] != mine["Data_Entry_2017_v2020.csv"]
    assert other["images/00000001_000.png"] != mine["images/00000001_000.png"]


def test_tables_have_the_headers_of_nih(phantom: Path) -> None:
    entries = (phantom / "Data_Entry_2017_v2020.csv").read_text().splitlines()
    boxes = (phantom / "BBox_List_2017.csv").read_text().splitlines()
    assert entries[0] == ENTRIES_HEADER
    assert boxes[0] == "Image Index,Finding Label,Bbox [x,y,w,h],,,"
    assert {line.count(",") for line in entries} == {10}
    assert {line.count(",") for line in boxes[1:]} == {8}
    assert not any(",Infiltration," in line for line in boxes)


@pytest.mark.real_data
def test_entries_header_is_the_one_in_real_data(real_data: Path) -> None:
    real = real_data / "nih-mini" / "Data_Entry_2017_v2020.csv"
    with real.open() as file:
        assert file.readline().strip() == ENTRIES_HEADER


def test_tables_describe_the_images(phantom: Path) -> None:
    rows = read_entries(phantom / "Data_Entry_2017_v2020.csv").rows
    names = sorted(path.name for path in (phantom / "images").iterdir())
    assert [row.image for row in rows] == names
    assert len(rows) == 40
    for row in rows:
        assert row.image.startswith(f"{row.patient:08d}_")
        assert 18 <= row.age <= 94
        with Image.open(phantom / "images" / row.image) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "L", (128, 128))


def test_no_patient_is_in_both_lists(phantom: Path) -> None:
    train_val, test = ((phantom / name).read_text().split() for name in ("train_val_list.txt", "test_list.txt"))
    assert sorted(train_val + test) == sorted(path.name for path in (phantom / "images").iterdir())
    assert {name[:8] for name in train_val} & {name[:8] for name in test} == set()
    assert 0.15 <= len(test) / 40 <= 0.5


def test_boxes_lie_in_the_image_and_belong_to_its_findings(phantom: Path) -> None:
    labels = {row.image: row.labels for row in read_entries(phantom / "Data_Entry_2017_v2020.csv").rows}
    boxes = read_boxes(phantom / "BBox_List_2017.csv")
    for image, found in boxes.items():
        for box in found:
            assert box.x >= 0
            assert box.y >= 0
            assert box.x + box.width <= 128.001
            assert box.y + box.height <= 128.001
            assert labels[image][FINDINGS.index(box.finding)] == 1
    for image, given_labels in labels.items():
        local = {finding for finding, label in zip(FINDINGS, given_labels, strict=True) if label} - DIFFUSE
        assert {box.finding for box in boxes.get(image, [])} == local


@pytest.mark.parametrize("patient", [1, 2, 3, 4])
@pytest.mark.parametrize("finding", LOCAL)
def test_what_a_finding_changes_lies_in_its_boxes(finding: str, patient: int) -> None:
    boxes = film_of(finding, patient=patient).boxes
    assert {box.finding for box in boxes} == {finding}
    inside = np.zeros((64, 64), bool)
    for box in boxes:
        top, left = int(box.y / 4), int(box.x / 4)
        inside[top : int((box.y + box.h) / 4) + 1, left : int((box.x + box.w) / 4) + 1] = True
    energy = change(finding, patient=patient)
    assert energy[inside].sum() > 0.85 * energy.sum()


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_finding_shows_more_as_it_gets_worse(finding: str) -> None:
    energies = [
        sum(change(finding, severity, patient=patient).sum() for patient in (1, 2, 3)) for severity in (0.3, 0.65, 1.0)
    ]
    assert energies[0] > 64 * 64 * 0.3  # even the least severe one changes the film by more than its noise
    assert all(more > less for less, more in pairwise(energies))


def test_boxes_and_film_are_the_same_at_any_size() -> None:
    small, large = film_of("Mass", size=128), film_of("Mass", size=512)
    halved = np.asarray(Image.fromarray(large.pixels).reduce(4), float)
    assert np.abs(halved - small.pixels).mean() < 4
    for a, b in zip(small.boxes, large.boxes, strict=True):
        np.testing.assert_allclose(np.array([a.x, a.y, a.w, a.h]) * 4, [b.x, b.y, b.w, b.h], atol=7)


def test_cardiomegaly_widens_the_heart_beyond_half_the_thorax() -> None:
    healthy, least, plain = [], [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        chest = pose(grow(rng, "MF"[seed % 2]), "PA", 50, rng)
        healthy.append(chest.cardiothoracic_ratio())
        least.append(reshape(chest, "Cardiomegaly", DIFFICULTY.least_severity, LEFT).cardiothoracic_ratio())
        plain.append(reshape(chest, "Cardiomegaly", 1.0, LEFT).cardiothoracic_ratio())
    assert np.mean(np.array(healthy) < 0.5) > 0.9
    assert np.mean(np.array(least) > 0.5) > 0.6
    assert min(plain) > 0.52
    assert 0.40 < np.mean(healthy) < 0.47


def test_ap_magnifies_the_heart_and_emphysema_narrows_it_and_flattens_the_diaphragm() -> None:
    chests = {
        view: pose(grow(np.random.default_rng(2), "M"), view, 50, np.random.default_rng(9)) for view in ("PA", "AP")
    }
    assert chests["AP"].heart > 1.05 * chests["PA"].heart
    sick = reshape(chests["PA"], "Emphysema", 0.8, RIGHT)
    assert sick.cardiothoracic_ratio() < chests["PA"].cardiothoracic_ratio() - 0.03
    assert sick.sag[0] < 0.5 * chests["PA"].sag[0]
    assert min(sick.dome) > min(chests["PA"].dome)


def test_right_diaphragm_is_the_higher_one() -> None:
    chest = pose(grow(np.random.default_rng(1), "F"), "PA", 40, np.random.default_rng(1))
    assert chest.dome[0] < chest.dome[1]


def test_pneumothorax_is_darker_and_effusion_brighter_than_lung() -> None:
    for finding, darker in (("Pneumothorax", True), ("Effusion", False)):
        films = film_of(finding, 1.0).pixels.astype(float), film_of(None).pixels.astype(float)
        box = film_of(finding, 1.0).boxes[0]
        part = slice(int(box.y), int(box.y + box.h)), slice(int(box.x), int(box.x + box.w))
        difference = (films[0] - films[1])[part]
        assert (np.percentile(difference, 5) < -8) if darker else (np.percentile(difference, 75) > 25)


def test_prevalence_and_company_are_as_stated() -> None:
    films = [(patient, visit) for patient in sample_cohort(12_000, 1, DIFFICULTY) for visit in patient.visits]
    assert len(films) == 12_000
    has = np.array([[finding in {s.finding for s in visit.signs} for finding in FINDINGS] for _, visit in films])
    rate = dict(zip(FINDINGS, has.mean(axis=0), strict=True))
    assert all(0.06 <= value <= 0.20 for value in rate.values()), rate
    assert 0.35 < np.mean(~has.any(axis=1)) < 0.43
    for one, other in (
        ("Effusion", "Atelectasis"), ("Effusion", "Consolidation"), ("Effusion", "Edema"), ("Effusion", "Cardiomegaly"),
        ("Infiltration", "Edema"), ("Mass", "Nodule"), ("Emphysema", "Pneumothorax"),
        ("Fibrosis", "Pleural_Thickening"),
    ):  # fmt: skip
        a, b = has[:, FINDINGS.index(one)], has[:, FINDINGS.index(other)]
        assert (a & b).mean() > 1.5 * a.mean() * b.mean(), (one, other)


def test_ap_films_and_the_test_list_are_sicker_and_most_patients_have_one_film() -> None:
    cohort = sample_cohort(12_000, 2, DIFFICULTY)
    sick = {(p.test, v.view, bool(v.signs)): 0 for p in cohort for v in p.visits}
    for patient in cohort:
        for visit in patient.visits:
            sick[patient.test, visit.view, bool(visit.signs)] += 1

    def rate(keep: str | bool) -> float:
        ill = sum(n for key, n in sick.items() if keep in key[:2] and key[2])
        return ill / sum(n for key, n in sick.items() if keep in key[:2])

    assert rate("AP") > rate("PA") + 0.1
    assert rate(True) > rate(False) + 0.08
    visits = Counter(len(patient.visits) for patient in cohort)
    assert 0.45 < visits[1] / len(cohort) < 0.7
    assert max(visits) >= 10
    assert 0.2 < sum(len(p.visits) for p in cohort if p.test) / 12_000 < 0.25


def test_chronic_findings_stay_and_keep_their_place() -> None:
    cohort = sample_cohort(6_000, 4, DIFFICULTY)
    again = [
        "Hernia" in {sign.finding for sign in later.signs}
        for patient in cohort
        for earlier, later in pairwise(patient.visits)
        if later.signs and "Hernia" in {sign.finding for sign in earlier.signs}
    ]
    assert np.mean(again) > 0.4
    visits = [Visit(k, 60, "PA", (Sign("Mass", 0.8, 1),)) for k in (0, 1)]
    still = replace(DIFFICULTY, shift=0.0, rotation=0.0, zoom=0.0)
    first, second = (draw_film(Patient(8, "M", False, tuple(visits)), v, 256, 0, still).boxes[0] for v in visits)
    assert np.hypot(first.x - second.x, first.y - second.y) < 256 * 0.06


@given(images=st.integers(8, 200), seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_cohort_has_exactly_the_films_asked_for_and_patients_in_both_lists(images: int, seed: int) -> None:
    cohort = sample_cohort(images, seed, DIFFICULTY)
    assert sum(len(patient.visits) for patient in cohort) == images
    assert {patient.test for patient in cohort} == {True, False}
    assert [patient.number for patient in cohort] == list(range(1, len(cohort) + 1))
    for patient in cohort:
        assert [visit.number for visit in patient.visits] == list(range(len(patient.visits)))


def test_difficulty_is_used_and_recorded(tmp_path: Path) -> None:
    plain = Difficulty(no_finding=0.9, contrast=0.5)
    report = write_phantom(tmp_path / "a", images=60, size=128, workers=1, difficulty=plain)
    assert report.no_finding > 40
    assert '"contrast": 0.5' in (tmp_path / "a" / "phantom.json").read_text()


def test_golden_film_is_fixed() -> None:
    film = draw_golden_film(128)
    assert (film.shape, film.dtype) == ((128, 128), np.uint8)
    np.testing.assert_array_equal(film, draw_golden_film(128))
    assert film.std() > 40


def test_a_finished_phantom_is_left_alone(phantom: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in phantom.rglob("*")}
    report = write_phantom(phantom, images=40, size=128, seed=5)
    assert not report.drawn
    assert report.images == 40
    assert report.findings.keys() == set(FINDINGS)
    assert {path: path.stat().st_mtime_ns for path in phantom.rglob("*")} == before


@pytest.mark.parametrize(("argument", "value"), [("images", 41), ("size", 129), ("seed", 4)])
def test_another_phantom_is_not_overwritten(phantom: Path, argument: str, value: int) -> None:
    arguments = {"images": 40, "size": 128, "seed": 5, argument: value}
    with pytest.raises(DataError, match=f"different: {argument}"):
        write_phantom(phantom, **arguments)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(DataError, match="something else"):
        write_phantom(tmp_path, images=8, size=128)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(DataError, match="is a file"):
        write_phantom(tmp_path / "thesis.txt", images=8, size=128)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [({"size": 64}, "128 to 1024"), ({"size": 2048}, "128 to 1024"), ({"images": 7}, "at least 8"),
     ({"seed": -1}, "0 or more"), ({"workers": 0}, "at least one")],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(tmp_path: Path, arguments: dict[str, int], says: str) -> None:
    with pytest.raises(DataError, match=says):
        write_phantom(tmp_path / "out", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_run_that_ends_early_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    drawn = []

    def draw_three(*arguments: object) -> Film:
        drawn.append(arguments)
        if len(drawn) > 3:
            raise error
        return film_of(None, size=128)

    monkeypatch.setattr(folder, "draw_film", draw_three)
    with pytest.raises(type(error)):
        write_phantom(tmp_path / "out", images=20, size=128, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == [".out.lock"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c_with_workers_leaves_nothing(tmp_path: Path) -> None:
    program = (
        "if __name__ == '__main__':\n"
        "    from pathlib import Path\n"
        "    from chest_xray.data.phantom import write_phantom\n"
        f"    write_phantom(Path({str(tmp_path / 'out')!r}), images=4000, size=128, workers=2)\n"
    )
    script = tmp_path / "draw.py"
    script.write_text(program)
    process = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".out.*/images/*.png")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert b"KeyboardInterrupt" in stderr
    assert process.returncode != 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.lock", "draw.py"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_run_leaves_nothing_that_adds_up(phantom: Path, tmp_path: Path) -> None:
    """Another phantom was being drawn: none of its films may end in this one."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom chest_xray.data.phantom import write_phantom\n"
        "write_phantom(Path(sys.argv[1]), images=4000, size=128, seed=6, workers=1)\n"
    )
    for _ in range(2):
        with start_python(program, tmp_path / "out") as process:
            deadline = time.monotonic() + 60
            while len(list(tmp_path.glob(".out.*/images/*.png"))) < 3:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=30)
        assert process.returncode == -signal.SIGKILL
        assert sorted(path.name for path in tmp_path.iterdir()) == [".out.lock", ".out.part"]
    write_phantom(tmp_path / "out", images=40, size=128, seed=5, workers=1)
    assert contents(tmp_path / "out") == contents(phantom)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_one_process_draws_a_phantom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.05)
    with (
        lock.only_one(tmp_path / ".out.lock", DataError("busy")),
        pytest.raises(DataError, match=r"Another process draws .*out: run this again"),
    ):
        write_phantom(tmp_path / "out", images=8, size=128, workers=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_thumbnails_and_histograms_do_not_solve_it(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.preprocessing import StandardScaler

    root = tmp_path / "phantom"
    write_phantom(root, images=3000, size=128, seed=0)
    rows = read_entries(root / "Data_Entry_2017_v2020.csv").rows
    listed = set((root / "test_list.txt").read_text().split())
    test = np.array([row.image in listed for row in rows])
    labels = np.array([row.labels for row in rows])
    films = []
    for row in rows:
        with Image.open(root / "images" / row.image) as image:
            films.append(np.asarray(image))
    features = {
        "thumbnail": np.stack([film.reshape(16, 8, 16, 8).mean(axis=(1, 3)).ravel() for film in films]),
        "histogram": np.stack([np.histogram(film, 32, (0, 256))[0] for film in films]),
    }
    network = json.loads((ROOT / "benchmarks" / "results" / "demo.json").read_text())["mean_auroc"]
    bounds = {"thumbnail": (0.60, 0.76), "histogram": (0.53, 0.68)}
    for name, values in features.items():
        scaled = StandardScaler().fit(values[~test]).transform(values)
        scores = [
            LogisticRegression(C=0.01, max_iter=1000).fit(scaled[~test], column[~test]).decision_function(scaled[test])
            for column in labels.T
        ]
        mean = float(np.mean([roc_auc_score(column[test], s) for column, s in zip(labels.T, scores, strict=True)]))
        low, high = bounds[name]
        assert low < mean < high, f"{name}: mean AUROC {mean:.3f}"
        assert mean < network - 0.1, f"{name}: mean AUROC {mean:.3f}, the demo's network {network:.3f}"
