"""The way from a trained run to a prediction: evaluation, bundle, registry, endpoint."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.support.asgi import Client
from tests.support.processes import run_cxr

from chest_xray.bundle import Bundle, load_bundle
from chest_xray.data.phantom import write_phantom
from chest_xray.data.prepare.prepare import prepare_data
from chest_xray.data.shards import Shards
from chest_xray.errors import BundleError, TrainingError
from chest_xray.evaluation.evaluate import evaluate
from chest_xray.evaluation.measure import Choices
from chest_xray.evaluation.results import Evaluation
from chest_xray.export.export import export, hold_to_calibrations, hold_to_pytorch, largest_difference
from chest_xray.findings import FINDINGS
from chest_xray.images.decode import decode_image
from chest_xray.images.preprocess import preprocess
from chest_xray.inference.api.app import create_app
from chest_xray.inference.container.__main__ import compose
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.records.audit import StreamAudit
from chest_xray.settings import Settings
from chest_xray.training.config import TrainConfig
from chest_xray.training.run import RunFolder
from chest_xray.training.scoring import load_run_model
from chest_xray.training.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "phantom"
    # So many that about half of the findings have ten test images, and the others are left out of the mean.
    write_phantom(folder, images=480, size=128, workers=1)
    return folder


@pytest.fixture(scope="module")
def data(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "shards"
    prepare_data(source, folder, image_size=64, workers=1, validation_fraction=0.2)
    return folder


@pytest.fixture(scope="module")
def run(data: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = TrainConfig(epochs=2, batch_size=16, ema_decay=0.9)
    return train(data, tmp_path_factory.mktemp("runs") / "run", config, Settings(home=home))


@pytest.fixture(scope="module")
def evaluation(run: Path, data: Path, home: Path) -> Evaluation:
    return evaluate(run, data, Settings(home=home), Choices(rounds=200))


@pytest.fixture(scope="module")
def bundle(run: Path, data: Path, evaluation: Evaluation) -> Bundle:
    return export(run, data)


def test_evaluation_agrees_with_scikit_learn_on_what_it_wrote(run: Path, evaluation: Evaluation) -> None:
    table = pq.read_table(run / "evaluation" / "predictions.parquet")
    test = table.filter(np.asarray(table["split"]) == "test")
    assert evaluation.images == test.num_rows
    assert evaluation.patients == len(set(test["patient"].to_pylist()))
    assert evaluation == Evaluation.model_validate_json((run / "evaluation" / "evaluation.json").read_bytes())
    aurocs = []
    for finding, metrics in evaluation.findings.items():
        labels, logits = test[f"{finding}.label"].to_numpy(), test[f"{finding}.logit"].to_numpy()
        assert metrics.positives == labels.sum()
        assert metrics.few_cases == (labels.sum() < 10)
        if metrics.positives == 0:
            assert metrics.auroc is None
            assert finding in evaluation.mean.left_out
            continue
        auroc = roc_auc_score(labels, logits)
        if metrics.few_cases:
            assert finding in evaluation.mean.left_out
        else:
            aurocs.append(auroc)
        assert metrics.auroc == pytest.approx(auroc, abs=1e-12)
        assert metrics.auprc == pytest.approx(average_precision_score(labels, logits), abs=1e-12)
        if metrics.ci95 is not None:
            assert metrics.ci95[0] <= metrics.auroc <= metrics.ci95[1]
    assert evaluation.mean.auroc == pytest.approx(np.mean(aurocs), abs=1e-12)
    assert (evaluation.split_source, evaluation.label_version) == ("lists", "phantom")
    assert evaluation.shortcuts is not None
    assert set(evaluation.shortcuts.alone) == {"view", "border", "size"}


def test_figures_of_phantoms_are_called_so(run: Path, evaluation: Evaluation, bundle: Bundle) -> None:
    assert evaluation.label_version == "phantom"
    assert "phantom images" in (bundle.root / "model_card.md").read_text()


def test_evaluation_refuses_other_data(run: Path, source: Path, home: Path, tmp_path: Path) -> None:
    prepare_data(source, tmp_path / "other", image_size=32, workers=1)
    with pytest.raises(TrainingError, match=r"was trained on data .* Evaluate with the shards of the training"):
        evaluate(run, tmp_path / "other", Settings(home=home))


def test_the_graph_equals_pytorch_on_real_input_of_any_batch(run: Path, data: Path, bundle: Bundle) -> None:
    folder = RunFolder(run)
    model = load_run_model(folder, folder.record()).cpu()
    session = onnxruntime.InferenceSession(bundle.onnx_path)
    shards = Shards.open(data)
    for count in (1, 3, 16):
        differences = largest_difference(model, session, shards.read(shards.rows("test")[:count]))
        assert max(differences.values()) < 1e-4


def test_a_graph_that_differs_is_refused(run: Path, data: Path, bundle: Bundle) -> None:
    folder = RunFolder(run)
    model = load_run_model(folder, folder.record()).cpu()
    session = onnxruntime.InferenceSession(bundle.onnx_path)
    pixels = Shards.open(data).read(np.arange(2))
    hold_to_pytorch(model, session, pixels)
    with torch.no_grad():
        model.classifier.bias[3] += 2e-4
    with pytest.raises(BundleError, match=r"ONNX and PyTorch differ by 2\.\d\de-04 in logits; at most 1e-04"):
        hold_to_pytorch(model, session, pixels)


def test_the_graph_gives_the_probabilities_of_the_manifest(data: Path, bundle: Bundle) -> None:
    session = onnxruntime.InferenceSession(bundle.onnx_path)
    pixels = Shards.open(data).read(np.arange(16))
    logits, found = session.run(["logits", "probability"], {"image": pixels[:, None]})
    calibrations = {name: profile.calibration for name, profile in bundle.manifest.findings.items()}
    assert tuple(calibrations) == bundle.manifest.logits == FINDINGS
    for k, calibration in enumerate(calibrations.values()):
        expected = 1 / (1 + np.exp(-(calibration.slope * logits[:, k].astype(np.float64) + calibration.intercept)))
        np.testing.assert_allclose(found[:, k], expected, atol=1e-6, rtol=0)
    hold_to_calibrations(calibrations, session, pixels)
    moved = calibrations["Mass"].model_copy(update={"intercept": calibrations["Mass"].intercept + 1e-3})
    calibrations |= {"Mass": moved}
    with pytest.raises(BundleError, match=r"The graph's probability of Mass differs by .* from its calibration"):
        hold_to_calibrations(calibrations, session, pixels)


def test_the_bundle_tells_where_it_comes_from(run: Path, data: Path, bundle: Bundle, evaluation: Evaluation) -> None:
    manifest = bundle.manifest
    assert manifest.provenance.data_hash == Shards.open(data).data_hash
    assert manifest.provenance.training_run == RunFolder(run).record().mlflow_run
    assert manifest.mean_auroc == evaluation.mean.auroc
    assert manifest.findings["Effusion"].auroc == evaluation.findings["Effusion"].auroc
    baseline = pq.read_table(bundle.root / "baseline" / "validation.parquet")
    assert baseline.num_rows == len(Shards.open(data).rows("val"))
    assert not {"image", "patient"} & set(baseline.column_names)


def test_the_baseline_holds_the_scores_of_the_evaluation(run: Path, bundle: Bundle) -> None:
    """ONNX on the validation images, against PyTorch's logits that evaluation wrote."""
    table = pq.read_table(run / "evaluation" / "predictions.parquet")
    validation = table.filter(np.asarray(table["split"]) == "val")
    baseline = pq.read_table(bundle.root / "baseline" / "validation.parquet")
    for finding in FINDINGS:
        expected = validation[f"{finding}.logit"].to_numpy()
        np.testing.assert_allclose(baseline[finding].to_numpy(), expected, atol=1e-4)


def test_the_guard_refuses_no_more_validation_films_than_it_states(data: Path, bundle: Bundle, source: Path) -> None:
    shards, predictor = Shards.open(data), OnnxPredictor.load(bundle.root)
    rows = shards.rows("val")
    verdicts = [predictor.predict((source / "images" / shards.images[row]).read_bytes()).guard for row in rows]
    guard = bundle.manifest.guard
    assert (guard.training_images, guard.validation_images) == (len(shards.rows("train")), len(rows))
    assert guard.false_refusal_rate == 1 / (len(rows) + 1)
    assert max(verdict.distance for verdict in verdicts) == pytest.approx(guard.threshold, rel=1e-4)


def test_the_predictor_gives_the_numbers_of_pytorch(run: Path, data: Path, bundle: Bundle, source: Path) -> None:
    """A file's bytes through serving, against the shard's pixels through PyTorch and the calibration by hand."""
    folder = RunFolder(run)
    model = load_run_model(folder, folder.record()).cpu()
    shards = Shards.open(data)
    row = int(shards.rows("test")[0])
    image = (source / "images" / shards.images[row]).read_bytes()
    np.testing.assert_array_equal(preprocess(decode_image(image), 64), shards.read([row])[0])
    with torch.inference_mode():
        logits = model(torch.from_numpy(shards.read([row])[:, None]))[0].double().numpy()
    prediction = OnnxPredictor.load(bundle.root).predict(image)
    for logit, score in zip(logits, prediction.findings, strict=True):
        calibration = bundle.manifest.findings[score.finding].calibration
        expected = 1 / (1 + np.exp(-(calibration.slope * logit + calibration.intercept)))
        assert score.probability == pytest.approx(expected, abs=1e-4)


def test_export_again_does_nothing_and_mends_an_altered_bundle(run: Path, data: Path, bundle: Bundle) -> None:
    assert export(run, data).digest == bundle.digest
    card = bundle.root / "model_card.md"
    card.write_text(card.read_text() + "better than it is")
    with pytest.raises(BundleError, match=r"model_card.md was changed"):
        load_bundle(bundle.root)
    assert export(run, data).manifest.files == bundle.manifest.files
    assert not list(run.glob(".bundle*"))


def test_an_evaluation_of_other_weights_is_not_exported(
    run: Path, data: Path, evaluation: Evaluation, tmp_path: Path
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    weights = RunFolder(copy).weights
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(TrainingError, match=r"is of other weights. Evaluate again"):
        export(copy, data)
    shutil.rmtree(copy / "evaluation")
    with pytest.raises(TrainingError, match=r"holds no evaluation. Make one with `cxr evaluate`"):
        export(copy, data)


def test_the_golden_film_has_the_numbers_of_pytorch_in_onnx_the_api_and_the_container(bundle: Bundle) -> None:
    image = (bundle.root / "golden.png").read_bytes()
    profiles = bundle.manifest.findings.values()
    calibrated = [
        1 / (1 + np.exp(-(profile.calibration.slope * logit + profile.calibration.intercept)))
        for profile, logit in zip(profiles, bundle.manifest.golden.logits, strict=True)
    ]
    predictor = OnnxPredictor.load(bundle.root)
    container, _ = compose(predictor, StreamAudit(io.BytesIO()))
    headers = {"content-type": "image/png"}
    answers = {
        "api": Client(create_app(predictor)).post("/v1/predictions", content=image, headers=headers),
        "container": Client(container).post("/invocations", content=image, headers=headers),
    }
    found = {name: [row["probability"] for row in answer.json()["findings"]] for name, answer in answers.items()}
    found["onnx"] = [score.probability for score in predictor.predict(image).findings]
    for name, numbers in found.items():
        np.testing.assert_allclose(numbers, calibrated, atol=1e-4, rtol=0, err_msg=name)


def test_from_bundle_to_prediction_through_the_commands(bundle: Bundle, source: Path, tmp_path: Path) -> None:
    film = min((source / "images").iterdir())
    home = tmp_path / "home"

    def cxr(*arguments: object, code: int = 0) -> str:
        done = run_cxr(*arguments, home=home)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    assert "Nothing is deployed" in cxr("predict", film, code=2)
    added = json.loads(cxr("register", "--bundle", bundle.root, "--by", "a reviewer", "--json"))
    assert added[0]["status"] == "PendingManualApproval"
    refusal = cxr("deploy", code=2)
    assert "PendingManualApproval" in refusal
    assert "cxr approve chest-xray --version 1" in refusal
    assert len(refusal.strip().splitlines()) == 1
    approved = json.loads(cxr("approve", "chest-xray", "--version", 1, "--by", "a reviewer", "--json"))
    assert (approved[0]["status"], approved[0]["decided_by"]) == ("Approved", "a reviewer")
    cxr("deploy")
    (answer,) = json.loads(cxr("predict", film, "--json", "--heatmap", tmp_path / "pictures", "--heatmap-anyway"))
    assert answer["model"] == {"name": "chest-xray", "version": 1, "digest": load_bundle(bundle.root).digest}
    expected = OnnxPredictor.load(bundle.root).predict(film.read_bytes())
    assert [row["probability"] for row in answer["findings"]] == [row.probability for row in expected.findings]
    (picture,) = (tmp_path / "pictures").iterdir()
    with Image.open(picture) as image:
        assert image.mode == "RGB"
    broken = tmp_path / "torn.png"
    broken.write_bytes(film.read_bytes()[:900])
    error = cxr("predict", broken, code=2)
    assert error.startswith(f"error: {broken}: ")
    assert len(error.strip().splitlines()) == 1
    done = run_cxr("predict", broken, film, tmp_path / "absent.png", "--json", home=home)
    assert (done.returncode, [row["file"] for row in json.loads(done.stdout)]) == (2, [str(film)])
    assert done.stderr.strip().splitlines()[-1] == "error: 2 of 3 files were not scored."
