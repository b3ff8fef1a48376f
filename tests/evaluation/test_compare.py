"""Two networks on the same images: differences that are known, and none where there is none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tests.support.bundles import MEAN, SIZE, STD, write_bundle
from tests.support.nih_folders import write_nih_folder
from typer.testing import CliRunner

from chest_xray.bundle import Bundle, Normalisation
from chest_xray.cli import app
from chest_xray.data.prepare.prepare import prepare_data
from chest_xray.errors import DataError
from chest_xray.evaluation.comparison.compare_bundles import compare_bundles
from chest_xray.evaluation.comparison.paired import PairedImages, compare, paired_bootstrap, two_sided_p
from chest_xray.evaluation.comparison.plot import plot_comparison
from chest_xray.evaluation.comparison.results import ComparedBundle, Comparison, describe_p
from chest_xray.evaluation.groups.tags import groups_of
from chest_xray.findings import FINDINGS

EFFUSION, HERNIA, NODULE = (FINDINGS.index(name) for name in ("Effusion", "Hernia", "Nodule"))
A, B = (ComparedBundle(name=n, digest=n[-1] * 64, image_size=64, data_hash="d" * 64) for n in ("model-a", "model-b"))


def scored(n: int = 600, seed: int = 0, better: float = 0.0) -> PairedImages:
    """Two images a patient; A sees half of each finding, B half and `better`; Hernia has 3 positives, Nodule none."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 14)) < 0.3).astype(np.uint8)
    labels[:, HERNIA] = np.arange(n) < 3
    labels[:, NODULE] = 0
    noise = rng.standard_normal((n, 14))
    return PairedImages(
        findings=FINDINGS,
        labels=labels,
        patients=np.arange(n) // 2,
        ages=np.where(np.arange(n) % 10 == 0, np.nan, 30 + 40 * (np.arange(n) // 2 % 2)).astype(np.float32),
        sexes=np.where(np.arange(n) // 2 % 3 == 0, "F", "M"),
        views=np.where(np.arange(n) < 5, "AP", "PA"),
        a=(noise + labels).astype(np.float32),
        b=(noise + (1 + better) * labels).astype(np.float32),
    )


def compared(images: PairedImages, rounds: int = 400) -> Comparison:
    return compare(images, A, B, label_version="phantom", notes=[], rounds=rounds, seed=0)


def test_equal_scores_have_no_difference_and_p_is_1() -> None:
    result = compared(scored())
    rows = [result.findings["Effusion"], result.mean, *(group.mean for group in result.groups)]
    for row in rows:
        assert (row.difference, row.ci95, row.p) == (0, (0, 0), 1)
    assert result.findings["Effusion"].p_holm == 1
    assert result.verdict.startswith("The test list does not tell B from A: mean AUROC 0.7")
    assert result.verdict.endswith("+0.000 (+0.000 to +0.000), p = 1.")


def test_aurocs_and_their_difference_are_those_of_scikit_learn() -> None:
    images = scored(better=0.5)
    row = compared(images).findings["Effusion"]
    a, b = (roc_auc_score(images.labels[:, EFFUSION], side[:, EFFUSION]) for side in (images.a, images.b))
    assert (row.a, row.b) == (pytest.approx(a, abs=1e-12), pytest.approx(b, abs=1e-12))
    assert row.difference == pytest.approx(b - a, abs=1e-12)
    assert row.ci95 is not None
    assert 0 < row.ci95[0] < row.difference < row.ci95[1]


def test_a_better_model_is_called_better_and_the_other_way_round() -> None:
    images = scored(better=0.5)
    result = compared(images, rounds=1000)
    assert result.mean.p == pytest.approx(2 / 1001)  # no round on the other side of 0
    assert result.verdict.startswith("B is better than A: mean AUROC 0.8")
    assert "Better in Atelectasis, " in result.verdict
    turned = replace(images, a=images.b, b=images.a)
    back = compared(turned, rounds=1000)
    assert back.verdict.startswith("B is worse than A")
    assert back.mean.difference == pytest.approx(-(result.mean.difference or 0))
    assert back.mean.p == result.mean.p


def test_the_mean_is_over_findings_with_enough_images_and_names_the_others() -> None:
    mean = compared(scored(better=0.3)).mean
    assert mean.left_out == {"Hernia": "3 images of one class, fewer than 10", "Nodule": "one class only"}
    assert len(mean.findings) == 12
    rows = compared(scored(better=0.3)).findings
    assert (rows["Hernia"].difference, rows["Nodule"].p_holm) == (None, None)
    differences = [rows[name].difference or 0 for name in mean.findings]
    assert mean.difference == pytest.approx(np.mean(differences))


def test_groups_are_by_known_tags_and_small_ones_are_named() -> None:
    result = compared(scored())
    assert [group.name for group in result.groups] == ["sex F", "sex M", "age 18-40", "age 60-80", "view PA"]
    assert result.groups_left_out == {"view AP": "no finding has 10 images of each class"}
    assert sum(group.images for group in result.groups if group.kind == "age") == 540  # a tenth has no age
    assert (result.images, result.patients, result.groups[4].patients) == (600, 300, 298)


def test_a_group_that_is_worse_shows_although_the_mean_does_not() -> None:
    images = scored()
    women = images.sexes == "F"
    images.b[women] = np.random.default_rng(1).standard_normal((women.sum(), 14))
    groups = {group.name: group.mean for group in compared(images).groups}
    assert groups["sex F"].ci95 is not None
    assert groups["sex F"].ci95[1] < 0
    assert groups["sex M"].difference == 0


def test_patients_are_resampled_with_all_their_images() -> None:
    """Ten copies of every image: over images the interval would shrink by the root of ten, over patients it stays."""
    one = scored(200, better=0.3)
    copies = np.repeat(np.arange(200), 10)
    ten = one.of(copies)
    chosen = np.array([EFFUSION])
    spreads = [paired_bootstrap(x, chosen, rounds=300, seed=0).differences.std() for x in (one, ten)]
    assert spreads[0] == pytest.approx(spreads[1], rel=1e-9)


def test_p_is_twice_the_smaller_tail_and_never_0() -> None:
    assert two_sided_p(np.array([1.0] * 99)) == 0.02
    assert two_sided_p(np.array([-1.0] * 25 + [1.0] * 74)) == pytest.approx(0.52)
    assert two_sided_p(np.array([0.0] * 99)) == 1
    assert (describe_p(0.0004), describe_p(0.0312)) == ("p < 0.001", "p = 0.031")


def test_holms_correction_multiplies_by_what_is_left() -> None:
    images = scored(better=0.5)
    images.b[:, 1:] = images.a[:, 1:]  # only the first finding differs
    rows = compared(images).findings
    assert rows["Atelectasis"].p_holm == pytest.approx(12 * (rows["Atelectasis"].p or 0))
    assert rows["Effusion"].p_holm == 1


def test_age_bands_hold_their_lower_end() -> None:
    ages = np.array([0, 17.9, 18, 80, 101, np.nan], dtype=np.float32)
    found = groups_of(ages, np.full(6, ""), np.full(6, ""))
    assert {group.name: group.members.sum() for group in found} == {"age 0-18": 2, "age 18-40": 1, "age 80+": 2}


def test_the_plot_is_a_png() -> None:
    assert plot_comparison(compared(scored(better=0.2))).startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "nih"
    write_nih_folder(folder, patients=60)
    return folder


@pytest.fixture(scope="module")
def shards(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "shards"
    prepare_data(source, folder, image_size=SIZE, workers=1)
    return folder


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Bundle]:
    folder = tmp_path_factory.mktemp("bundles")
    return [write_bundle(folder / str(n), mean_auroc=0.7 + n / 100) for n in range(2)]


def test_bundles_are_scored_by_their_graphs(shards: Path, bundles: list[Bundle]) -> None:
    """The tiny bundles differ in their manifests only."""
    result = compare_bundles(("one", bundles[0]), ("two", bundles[1]), [shards], rounds=100)
    assert (result.a.name, result.b.digest) == ("one", bundles[1].digest)
    assert result.mean.difference in {0, None}
    assert len(result.notes) == 2
    assert result.notes[0].startswith("one was trained on other prepared data (dddddddddddd)")


def test_shards_of_another_size_are_one_line(source: Path, bundles: list[Bundle], tmp_path: Path) -> None:
    prepare_data(source, tmp_path / "s32", image_size=32, workers=1)
    with pytest.raises(DataError, match=r"one takes images of 64 x 64 and .*s32 holds 32 x 32\. .*--image-size 64"):
        compare_bundles(("one", bundles[0]), ("two", bundles[1]), [tmp_path / "s32"])


def test_bundles_of_other_findings_are_not_compared(shards: Path, bundles: list[Bundle], tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other", names=("Opacity", "Device", "Fracture"))
    with pytest.raises(DataError, match=r"other tells Opacity, Device, .* is labelled with Atelectasis, "):
        compare_bundles(("one", bundles[0]), ("other", other), [shards])


def test_shards_of_other_images_are_refused(shards: Path, bundles: list[Bundle], tmp_path: Path) -> None:
    write_nih_folder(tmp_path / "nih", patients=40)
    prepare_data(tmp_path / "nih", tmp_path / "s32", image_size=32, workers=1)
    small = write_bundle(tmp_path / "small", image_size=32, normalisation=Normalisation(mean=MEAN, std=STD))
    with pytest.raises(DataError, match=r"hold other test images or labels\. Prepare both from one source"):
        compare_bundles(("one", bundles[0]), ("small", small), [shards, tmp_path / "s32"])


def test_a_side_that_is_nothing_is_one_line(shards: Path) -> None:
    result = CliRunner().invoke(app, ["compare", "no-such", "no-such:0", "--data", str(shards)])
    assert "no-such is no folder and no NAME:VERSION" in str(result.exception)
