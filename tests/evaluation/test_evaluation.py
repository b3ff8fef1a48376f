"""evaluation.json from scores: figures, what is reported instead of averaged in, groups, shift and the file itself."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score
from tests.support.processes import ROOT
from tests.support.scores import drawn, origin, scores

from chest_xray.cli import main
from chest_xray.errors import TrainingError
from chest_xray.evaluation.calibration.calibrate import apply_calibration, undo_loss_weight
from chest_xray.evaluation.files import evaluate_file
from chest_xray.evaluation.groups.shortcuts import within_views
from chest_xray.evaluation.groups.subgroups import patient_groups, unfair_gaps
from chest_xray.evaluation.measure import Choices, Measured, evaluate_predictions
from chest_xray.evaluation.results import Evaluation, read_evaluation
from chest_xray.evaluation.results.schema import evaluation_schema
from chest_xray.evaluation.scored import ScoredImages, Scores
from chest_xray.findings import FINDINGS

QUICK = Choices(rounds=200)
MASS = FINDINGS.index("Mass")


@pytest.fixture(scope="module")
def measured() -> Measured:
    return evaluate_predictions(scores(), QUICK)


def kinds(evaluation: Evaluation, finding: str | None) -> list[str]:
    return [issue.kind for issue in evaluation.issues if issue.finding == finding]


def test_flags_are_counted_as_scikit_learn_counts_them(measured: Measured) -> None:
    test = scores().test
    for k, name in enumerate(FINDINGS):
        row, profile = measured.evaluation.findings[name], measured.profiles.findings[name]
        point = row.at_operating_point
        assert point is not None
        assert profile.operating_point is not None
        flagged = apply_calibration(profile.calibration, test.logits[:, k]) >= profile.operating_point.threshold
        tn, fp, fn, tp = confusion_matrix(test.labels[:, k], flagged).ravel().tolist()
        counts = point.confusion
        found = (counts.true_negatives, counts.false_positives, counts.false_negatives, counts.true_positives)
        assert found == (tn, fp, fn, tp)
        assert point.sensitivity.value == tp / (tp + fn)
        assert point.specificity.value == tn / (tn + fp)
        assert point.accuracy.value == (tp + tn) / 600
        assert point.ppv is not None
        assert point.npv is not None
        assert (point.ppv.value, point.npv.value) == (tp / (tp + fp), tn / (tn + fn))
        assert point.f1.value == pytest.approx(f1_score(test.labels[:, k], flagged))
        for estimate in (point.sensitivity, point.specificity, point.ppv, point.npv, point.accuracy, point.f1):
            assert estimate.ci95 is not None
            assert estimate.ci95[0] <= estimate.value <= estimate.ci95[1]


def test_both_intervals_of_an_auroc_agree(measured: Measured) -> None:
    for row in measured.evaluation.findings.values():
        assert row.ci95 == pytest.approx(row.auroc_delong_ci95, abs=0.012)


def test_calibration_brings_the_error_down_to_chance(measured: Measured) -> None:
    """Logits are two apart and one wide, so that the true slope is 2: the raw logits are too timid."""
    mean = measured.evaluation.mean.calibration
    assert mean is not None
    assert mean.ece_after < 0.6 * mean.ece_before
    assert mean.brier_after < mean.brier_before
    for row in measured.evaluation.findings.values():
        assert row.calibration is not None
        assert row.calibration.after.ece.value < 2.5 * row.calibration.after.ece_by_chance


def test_one_class_few_cases_and_missing_values_are_reported_and_not_in_the_mean() -> None:
    given = scores()
    given.test.labels[:, FINDINGS.index("Hernia")] = 0
    given.test.labels[:, FINDINGS.index("Edema")] = np.arange(600) < 9
    given.test.logits[5, MASS] = np.nan
    given.test.labels[7, FINDINGS.index("Nodule")] = np.nan
    given.validation.labels[:, FINDINGS.index("Fibrosis")] = 0
    evaluation = evaluate_predictions(given, QUICK).evaluation
    assert evaluation.mean.left_out == ["Mass", "Nodule", "Edema", "Hernia"]
    assert kinds(evaluation, "Hernia") == ["one_class_only"]
    assert kinds(evaluation, "Edema") == ["few_cases"]
    assert kinds(evaluation, "Mass") == ["not_finite"]
    assert kinds(evaluation, "Nodule") == ["labels_missing"]
    assert kinds(evaluation, "Fibrosis") == ["not_calibrated"]
    findings = evaluation.findings
    assert findings["Edema"].auroc is not None
    assert findings["Edema"].few_cases
    assert [findings[name].auroc for name in ("Hernia", "Mass", "Nodule")] == [None] * 3
    assert findings["Fibrosis"].at_operating_point is None
    kept = [k for k, name in enumerate(FINDINGS) if name in evaluation.mean.findings]
    expected = [roc_auc_score(given.test.labels[:, k], given.test.logits[:, k]) for k in kept]
    assert evaluation.mean.auroc == pytest.approx(np.mean(expected), abs=1e-12)
    assert "Mass: 1 of 600 test images have a score that is not finite; nothing is measured." in evaluation.warnings


def test_a_patient_on_both_sides_is_reported_and_not_measured() -> None:
    given = scores()
    given.test.seen_in_training[given.test.patients == 3] = True
    given.test.patients[given.test.patients == 4] = given.validation.patients[0]
    known = int(np.isin(given.test.patients, [3, given.validation.patients[0]]).sum())
    evaluation = evaluate_predictions(given, QUICK).evaluation
    assert (evaluation.images, evaluation.patients) == (600 - known, 198)
    assert kinds(evaluation, None) == ["patient_on_both_sides", "not_checked"]
    assert evaluation.issues[0].reason.startswith(
        f"2 patients of the test list are in the training list too; their {known}"
    )
    given.test.seen_in_training[:] = True
    with pytest.raises(TrainingError, match="No test image is left to measure"):
        evaluate_predictions(given, QUICK)


def test_like_lists_are_not_warned_of_and_unlike_ones_are(measured: Measured) -> None:
    shift = measured.evaluation.shift
    assert shift is not None
    assert [tag.tag for tag in shift.tags] == ["view AP", "sex F", "age", "any finding"]
    assert sum(row.warned for row in shift.findings.values()) <= 2
    given = scores()
    sicker = drawn(600, 200, seed=2, prevalence=0.5)
    older = replace(sicker, ages=sicker.ages + 30, views=np.where(np.arange(600) % 10 < 8, "AP", "PA"))
    found = evaluate_predictions(Scores(given.origin, given.validation, older), QUICK).evaluation.shift
    assert found is not None
    warned = {tag.tag for tag in found.tags if tag.warned}
    assert {"view AP", "age"} <= warned
    assert "sex F" not in warned
    assert all(row.warned and row.odds_ratio == pytest.approx(0.7 / 0.3, rel=0.5) for row in found.findings.values())
    assert "cxr evaluate --prior test" in found.warnings[-1]


def test_correcting_for_prevalence_helps_where_only_prevalence_changed() -> None:
    given = scores()
    rare = Scores(given.origin, given.validation, drawn(1500, 500, seed=3, prevalence=0.08))
    as_it_is = evaluate_predictions(rare, QUICK).evaluation
    prior = as_it_is.prior
    assert prior is not None
    assert (prior.applied, prior.given) == ("validation", {})
    assert prior.mean_ece_known is not None
    assert prior.mean_ece_estimated is not None
    assert prior.mean_ece_validation is not None
    assert prior.mean_ece_known < 0.5 * prior.mean_ece_validation
    assert prior.mean_ece_estimated < 0.6 * prior.mean_ece_validation
    moved = evaluate_predictions(rare, replace(QUICK, prior="test")).evaluation
    assert moved.mean.calibration is not None
    assert moved.mean.calibration.ece_after == pytest.approx(prior.mean_ece_known)
    for before, after in zip(as_it_is.findings.values(), moved.findings.values(), strict=True):
        assert before.auroc == after.auroc
        assert before.at_operating_point is not None
        assert after.at_operating_point is not None
        # Thresholds move along: the same images are flagged.
        assert before.at_operating_point.confusion == after.at_operating_point.confusion


def test_groups_are_of_one_tag_and_of_two(measured: Measured) -> None:
    found = measured.evaluation.subgroups
    assert found is not None
    names = [group.name for group in found.groups]
    assert {"sex F", "sex M", "view PA", "view AP", "sex and view F, PA"} <= set(names)
    every = [group.name for group in patient_groups(scores().test)]
    assert sorted(names + list(found.left_out)) == sorted(every)
    assert all("fewer than 50" in reason for reason in found.left_out.values())
    test = scores().test
    group = found.groups[names.index("sex and view F, PA")]
    inside = (test.sexes == "F") & (test.views == "PA")
    assert (group.images, group.patients) == (inside.sum(), len(set(test.patients[inside])))
    row = group.findings["Mass"]
    assert row.auroc is not None
    assert row.auroc.gap is not None
    aurocs = [roc_auc_score(test.labels[side, MASS], test.logits[side, MASS]) for side in (inside, ~inside)]
    assert row.auroc.value == pytest.approx(aurocs[0])
    assert row.auroc.gap.difference == pytest.approx(aurocs[0] - aurocs[1])


def test_groups_that_do_not_differ_are_not_called_different(measured: Measured) -> None:
    assert measured.evaluation.subgroups is not None
    assert list(unfair_gaps(measured.evaluation.subgroups)) == []


def test_a_group_that_is_underdiagnosed_is_found() -> None:
    """In AP images the logit of Mass says nothing, and is low: its cases are missed."""
    given = scores()
    ap = given.test.views == "AP"
    given.test.logits[ap, MASS] = np.random.default_rng(0).normal(-3, 0.5, int(ap.sum()))
    found = evaluate_predictions(given, QUICK).evaluation.subgroups
    assert found is not None
    harmed = {(group.name, finding, what) for group, finding, what, _ in unfair_gaps(found)}
    assert {("view AP", "Mass", "underdiagnosis"), ("view AP", "Mass", "auroc")} <= harmed
    assert not {name for name, _, _ in harmed} & {"sex F", "sex M"}
    row = next(group for group in found.groups if group.name == "view AP").findings["Mass"]
    assert row.underdiagnosis is not None
    assert row.underdiagnosis.value == 1.0
    assert row.underdiagnosis.ci95 is not None
    assert row.underdiagnosis.ci95[0] > 0.9


def test_within_a_view_the_view_tells_nothing() -> None:
    """A score that is the view and nothing else."""
    test = drawn(800, 200)
    test.labels[:, MASS] = (np.random.default_rng(1).random(800) < np.where(test.views == "AP", 0.6, 0.1)).astype(float)
    test.logits[:, MASS] = np.where(test.views == "AP", 1.0, 0.0)
    found = within_views(test)
    assert [row.view for row in found] == ["PA", "AP"]
    assert [row.findings["Mass"].value for row in found] == [0.5, 0.5]
    assert roc_auc_score(test.labels[:, MASS], test.logits[:, MASS]) > 0.7


def test_the_file_of_predictions_gives_the_same_evaluation(measured: Measured, tmp_path: Path) -> None:
    calibrations = {name: profile.calibration for name, profile in measured.profiles.findings.items()}
    path = tmp_path / "predictions.parquet"
    path.write_bytes(scores().to_parquet(calibrations))
    assert evaluate_file(path, tmp_path / "out", QUICK) == measured.evaluation
    assert read_evaluation(tmp_path / "out") == (measured.evaluation, measured.profiles)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "evaluation.json",
        "predictions.parquet",
        "profiles.json",
        "reliability.png",
        "report.html",
        "subgroups.png",
    ]


def test_missing_labels_come_back_from_the_file(tmp_path: Path) -> None:
    given = scores()
    given.test.labels[7, MASS] = np.nan
    calibrations = {name: undo_loss_weight(2.0) for name in FINDINGS}
    path = tmp_path / "predictions.parquet"
    path.write_bytes(given.to_parquet(calibrations))
    again = Scores.read(path)
    assert again.origin == given.origin
    for name in ScoredImages.__slots__:
        np.testing.assert_array_equal(getattr(again.test, name), getattr(given.test, name))


def test_findings_of_other_names_have_the_same_figures(tmp_path: Path, measured: Measured) -> None:
    names, places = ("Lung Opacity", "Device", "Fracture"), [MASS, 0, 9]
    whole = scores()
    parts = [
        replace(part, findings=names, labels=part.labels[:, places], logits=part.logits[:, places])
        for part in (whole.validation, whole.test)
    ]
    path = tmp_path / "predictions.parquet"
    path.write_bytes(
        Scores(origin(positive_weights=(2.0,) * 3), *parts).to_parquet({name: undo_loss_weight(2.0) for name in names})
    )
    found = evaluate_predictions(Scores.read(path), QUICK)
    assert tuple(found.evaluation.findings) == tuple(found.profiles.findings) == names
    assert found.evaluation.mean.findings == list(names)
    for name, place in zip(names, places, strict=True):
        assert found.evaluation.findings[name] == measured.evaluation.findings[FINDINGS[place]]
        assert found.profiles.findings[name] == measured.profiles.findings[FINDINGS[place]]


def test_a_file_that_is_no_predictions_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    with pytest.raises(TrainingError, match="cannot be read"):
        Scores.read(path)
    path.write_bytes(b"PAR1 not")
    with pytest.raises(TrainingError, match="cannot be read"):
        Scores.read(path)
    whole = scores().to_parquet({name: undo_loss_weight(2.0) for name in FINDINGS})
    path.write_bytes(whole)
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["Edema.logit"]), path)
    with pytest.raises(TrainingError, match=r"has no column Edema\.logit"):
        Scores.read(path)
    pq.write_table(table.drop_columns([f"Edema.{kind}" for kind in ("label", "logit", "probability")]), path)
    with pytest.raises(TrainingError, match=r"has columns of 13 findings, expected 14, as many as"):
        Scores.read(path)
    pq.write_table(table.replace_schema_metadata({}), path)
    with pytest.raises(TrainingError, match="no origin in its metadata"):
        Scores.read(path)


@pytest.mark.parametrize(
    "arguments",
    [["--run", "a"], ["--predictions", "p", "--run", "a"], ["--run", "a", "--data", "b", "--output", "c"], []],
)
def test_what_to_measure_is_said_in_one_way(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["evaluate", *arguments])
    assert end.value.code == 2
    expected = "error: Give --run and --data, or --predictions, with --output if files are wanted."
    assert capsys.readouterr().err.strip() == expected


def test_the_command_prints_tables_and_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "predictions.parquet"
    path.write_bytes(scores().to_parquet({name: undo_loss_weight(2.0) for name in FINDINGS}))
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "--predictions", str(path), "--rounds", "100", "--aim", "sensitivity=0.9"])
    assert end.value.code == 0
    out, err = capsys.readouterr()
    assert "mean of 14" in out
    assert "operating points for" in out
    assert "sex and view F, PA" in out
    assert "Note: Shortcuts were not audited: that needs training images." in err
    with pytest.raises(SystemExit):
        main(["evaluate", "--predictions", str(path), "--aim", "best"])
    assert "--aim is 'best'" in capsys.readouterr().err


def test_the_schema_in_the_docs_is_that_of_the_types() -> None:
    """`python -m chest_xray.evaluation.results > docs/evaluation.schema.json` makes it."""
    assert (ROOT / "docs" / "evaluation.schema.json").read_text() == evaluation_schema()


def test_every_field_of_the_evaluation_is_described() -> None:
    schema = json.loads(evaluation_schema())
    ours = {name: part for name, part in schema["$defs"].items() if not name.startswith("Locali")} | {"": schema}
    missing = [
        f"{name}.{field}"
        for name, part in ours.items()
        for field, content in part.get("properties", {}).items()
        if "description" not in content
    ]
    assert missing == []


def test_origin_says_where_the_scores_come_from(measured: Measured) -> None:
    evaluation = measured.evaluation
    assert (evaluation.data_hash, evaluation.weights_sha256) == (origin().data_hash, origin().weights_sha256)
    assert (evaluation.split_source, evaluation.validation_images) == ("lists", 600)
