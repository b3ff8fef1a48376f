"""The model card: metadata that Hugging Face reads, every section, and no number that nobody measured."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from jinja2 import Environment, meta
from tests.support.bundles import GUARD, QUALITY, manifest
from tests.support.evaluations import evaluation, shift, subgroups

from chest_xray.bundle import Manifest, Normalisation
from chest_xray.errors import BundleError, SettingsError
from chest_xray.evaluation.results import Evaluation
from chest_xray.export.footprint import Footprint, Rates
from chest_xray.export.model_card import write_model_card
from chest_xray.export.model_card.card import TEMPLATE, card_words
from chest_xray.export.model_card.facts import Facts
from chest_xray.export.model_card.markdown import table
from chest_xray.findings import FINDINGS
from chest_xray.notices import RESEARCH_USE_ONLY
from chest_xray.training.config import TrainConfig
from chest_xray.training.run import Epoch, TrainingRecord


@pytest.fixture(scope="module")
def bundle_manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return manifest(tmp_path_factory.mktemp("empty"))


def record(**changes: object) -> TrainingRecord:
    fields: dict[str, object] = {
        "config": TrainConfig(init="imagenet", seed=3),
        "image_size": 224,
        "normalisation": Normalisation(mean=0.5, std=0.25),
        "positive_weights": [1.0] * 14,
        "data_hash": "d" * 64,
        "label_version": "v2020",
        "best_epoch": 2,
        "history": [Epoch(epoch=n, train_loss=1, val_loss=1, val_auroc=0.7, learning_rate=1e-3) for n in (1, 2, 3)],
        "git_revision": "a" * 40,
        "versions": {"torch": "2.13.0"},
        "mlflow_run": None,
    }
    return TrainingRecord.model_validate(fields | changes)


def card(bundle_manifest: Manifest, rates: Rates | None = None, **changes: object) -> str:
    measured = evaluation(**{k: v for k, v in changes.items() if k in Evaluation.model_fields})
    trained = record(**{k: v for k, v in changes.items() if k in TrainingRecord.model_fields})
    return write_model_card(bundle_manifest, trained, measured, rates or Rates())


def test_hugging_face_reads_the_metadata(bundle_manifest: Manifest) -> None:
    """Parsed by its own library, offline: the model-index must come back as the evaluation's numbers."""
    data = ModelCard(card(bundle_manifest)).data
    assert (data.license, data.language, data.library_name, data.pipeline_tag) == (
        "apache-2.0",
        "en",
        "onnx",
        "image-classification",
    )
    assert data.datasets == ["NIH-ChestX-ray14"]
    results = {result.metric_name: result for result in data.eval_results}
    assert results["mean AUROC"].metric_value == 0.812
    assert results["AUROC, Effusion"].metric_value == 0.75
    assert "AUROC, Hernia" not in results
    assert len(results) == 2 + 13
    one = results["AUROC, Effusion"]
    assert (one.dataset_name, one.dataset_split, one.dataset_revision) == (
        "NIH images, labels v2020, test list",
        "test",
        "d" * 64,
    )
    assert (one.task_type, one.metric_type) == ("image-classification", "roc_auc")


def test_every_section_is_there_in_order(bundle_manifest: Manifest) -> None:
    text = card(bundle_manifest)
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "Model details",
        "Intended use",
        "Out of scope",
        "Data",
        "Label noise",
        "Performance",
        "Operating points",
        "Calibration",
        "Shift",
        "Localisation",
        "Subgroups",
        "Shortcuts",
        "Guard",
        "Limits",
        "Carbon and cost",
        "How to cite",
    ]
    assert f"**{RESEARCH_USE_ONLY}**" in text
    assert "Mean AUROC 0.812 (0.790 to 0.831) over 13 findings, on 120 NIH images, labels v2020 of 60 patients" in text


def test_tables_hold_the_numbers_of_evaluation_and_manifest(bundle_manifest: Manifest) -> None:
    text = card(bundle_manifest)
    assert "| Effusion | 30 / 90 | 0.750 (0.700 to 0.800) | 0.300 (0.250 to 0.350) | 25.0% |" in text
    assert "| Hernia (few cases) | 0 / 120 | n/a (one class only) | n/a (one class only) | 0.0% |" in text
    assert "Not in the mean, because they have fewer than 10 images of one class: Hernia." in text
    rates = "0.80 (0.66 to 0.93) | 0.70 (0.61 to 0.79) | 0.47 (0.35 to 0.60) | n/a | 0.59"
    assert f"| Effusion | 0.222 | {rates} | 24 / 27 / 6 / 63 |" in text
    assert "On validation images, sensitivity / specificity: Atelectasis 0.80 / 0.70," in text
    assert "| Hernia | never flagged |" in text
    assert "| Effusion | Platt scaling | 0.281 -> 0.119 | 0.207 -> 0.037 | 0.041 |" in text
    assert "| Hernia | not measured |" in text
    assert "| mean of 13 |  | 0.280 -> 0.120 | 0.210 -> 0.034 |  |" in text
    assert "| Effusion | 41 | 0.40 (0.30 to 0.50); 0.10; 0.20; 0.60 |" in text
    assert "7 boxes of images that are not there were not measured." in text
    assert f"like the {GUARD.training_images} training films" in text
    assert f"at most {QUALITY.false_warning_rate:.1%}" in text


def test_shift_groups_and_shortcuts_stand_in_the_card(bundle_manifest: Manifest) -> None:
    text = card(bundle_manifest)
    assert "- Prevalence differs between test and validation: Effusion 25.0% against 10.0%." in text
    assert "| view AP | 0.35 | 0.566 | +0.44 |" in text
    assert (
        "No prior correction was applied. Mean ECE of the test images: 0.044 with the validation prevalence, 0.022"
        in text
    )
    auroc, underdiagnosed = "0.777 (0.727 to 0.827) | -0.060 (0.3)", "0.310 (0.260 to 0.360)"
    assert f"| sex F | 61 / 52 | {auroc} | Effusion -0.12 | {underdiagnosed} | too few |" in text
    assert "Not measured, fewer than 50 patients: age 0-18: 7 patients." in text
    assert "| view alone: PA or AP | 0.688 | 1 |  |" in text
    assert "| the model within AP (66 images) | 0.699 | 1 | 0.755 |" in text
    assert "| the model within PA (54 images) | too few | 0 | too few |" in text


def test_parts_that_were_not_measured_are_named(bundle_manifest: Manifest) -> None:
    text = card(bundle_manifest, shift=None, prior=None, subgroups=None, shortcuts=None)
    assert "Not measured: there were no validation images to compare with." in text
    assert "Not measured: the test images have no sex, age or view." in text
    assert "Not audited: that needs training images." in text
    unmoved = shift().model_copy(update={"warnings": []})
    assert "- No difference meets the rule." in card(bundle_manifest, shift=unmoved, prior=None)
    assert "Prior correction was not measured." in card(bundle_manifest, shift=unmoved, prior=None)
    none = subgroups().model_copy(update={"groups": []})
    assert "No group has 50 patients.\n\nNot measured, fewer than 50 patients: age 0-18" in card(
        bundle_manifest, subgroups=none
    )


def test_nihs_facts_stand_in_a_card_of_nih_and_not_in_one_of_phantoms(bundle_manifest: Manifest) -> None:
    nih, phantom = card(bundle_manifest), card(bundle_manifest, label_version="phantom")
    for fact in ("112,120", "30,805", "0.485", "0.497", "0.588", "Wang X, Peng Y", "NIH Clinical Center"):
        assert fact in nih
        assert fact not in phantom
    assert "No figure below says anything about patients." in phantom
    assert ModelCard(phantom).data.datasets is None
    assert ModelCard(phantom).data.eval_results[0].dataset_name == "phantom images, test list"


def test_what_nobody_measured_or_stated_is_said_so(bundle_manifest: Manifest) -> None:
    text = card(bundle_manifest)
    assert "- Training time: not measured; device: not recorded." in text
    assert "- Energy: not measured; stated mean power: none." in text
    assert "- Carbon: not measured; stated grid: none." in text
    assert "- Cost: not measured; stated price: none." in text
    assert "Not measured: no image of the test list has a box." in card(bundle_manifest, localisation=None)


def test_carbon_and_cost_are_time_times_stated_rates(bundle_manifest: Manifest) -> None:
    rates = Rates(watts=300, grid_gco2=400, usd_per_hour=0.75)
    text = card(bundle_manifest, rates, seconds=7200.0, device="a GPU")
    assert "- Training time: 2.00 hours; device: a GPU." in text
    assert "- Energy: 0.600 kWh; stated mean power: 300 W." in text
    assert "- Carbon: 240 g CO2e; stated grid: 400 g CO2e a kWh." in text
    assert "- Cost: 1.50 US dollars; stated price: 0.75 US dollars an hour." in text
    half = Footprint(seconds=7200.0, device="cpu", rates=Rates(grid_gco2=400, usd_per_hour=1))
    assert (half.kwh, half.gco2, half.usd) == (None, None, 2.0)


def test_a_rate_that_cannot_be_is_one_line() -> None:
    with pytest.raises(SettingsError, match=r"^--usd-per-hour is -1\.0: Input should be greater than or equal to 0\.$"):
        Rates.from_options({"watts": None, "grid_gco2": None, "usd_per_hour": -1.0})


def test_a_template_that_was_edited_amiss_is_one_line(
    bundle_manifest: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Jinja2 alone would leave an empty place, which nobody sees in a card."""
    edited = tmp_path / "model_card.md.j2"
    monkeypatch.setattr("chest_xray.export.model_card.card.TEMPLATE", edited)
    edited.write_text("---\n{{ card_data }}\n---\n\nSeed {{ seed }}, {{ patience }}")
    with pytest.raises(
        BundleError, match=r"^model_card\.md\.j2 names patience, which no card has\. Expected one of aim, "
    ):
        card(bundle_manifest)
    edited.write_text("---\n{{ card_data }}\n---\n\nSeed {{ seed }")
    with pytest.raises(BundleError, match=r"^model_card\.md\.j2, line 5: unexpected '}'\. Mend the template\.$"):
        card(bundle_manifest)
    edited.write_text("---\n{{ card_data }}\n---\n\nSeed {{ seed }}.\n")
    assert card(bundle_manifest).endswith("\n---\n\nSeed 3.\n")


def test_the_template_says_all_that_a_card_knows(bundle_manifest: Manifest) -> None:
    facts = Facts(bundle_manifest, record(), evaluation(), Footprint(seconds=None, device=None, rates=Rates()))
    named = meta.find_undeclared_variables(Environment(autoescape=True).parse(TEMPLATE.read_text(encoding="utf-8")))
    assert named == {"card_data", *card_words(facts)}


def test_cells_cannot_break_the_table() -> None:
    assert table(("a", "b"), [("x|y", "Pleural_Thickening")]).splitlines()[-1] == "| x\\|y | Pleural\\_Thickening |"


def test_the_card_is_the_same_each_time(bundle_manifest: Manifest) -> None:
    assert card(bundle_manifest) == card(bundle_manifest)
    assert bundle_manifest.provenance.created == datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    assert all(name.replace("_", "\\_") in card(bundle_manifest) for name in FINDINGS)


def test_the_card_names_as_many_findings_as_were_measured(bundle_manifest: Manifest) -> None:
    assert "\n# DenseNet121, 14 findings of NIH ChestX-ray14\n" in card(bundle_manifest)
    names = ("Opacity", "Device", "Fracture")
    measured = evaluation(label_version="other", findings=dict.fromkeys(names, evaluation().findings["Mass"]))
    text = write_model_card(bundle_manifest, record(label_version="other", findings=names), measured)
    assert "\n# DenseNet121, 3 findings\n" in text
    data = ModelCard(text).data
    assert (data.datasets, data.eval_results[0].dataset_type) == (None, "other")
    assert "NIH" not in text.replace("NIH's list has few of them", "")
    assert "Films with labels other. Nothing more is known here." in text
    names = [result.metric_name for result in data.eval_results]
    assert names == ["mean AUROC", "mean AUPRC", "AUROC, Opacity", "AUROC, Device", "AUROC, Fracture"]
