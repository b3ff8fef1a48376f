"""Three findings that are not NIH's go from shards to an answer over HTTP: the list is data, at every step."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.support.asgi import Client
from tests.support.bundles import png
from tests.support.preparing import LabelledFilm, prepare_films

from chest_xray.bundle import Bundle
from chest_xray.data.nih_tables import Box
from chest_xray.data.shards import Shards
from chest_xray.evaluation.evaluate import evaluate
from chest_xray.evaluation.measure import Choices
from chest_xray.evaluation.results import Evaluation
from chest_xray.export.export import export
from chest_xray.inference.api.app import create_app
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.records.audit import FileAudit
from chest_xray.records.ground_truth import GroundTruthLog
from chest_xray.settings import Settings
from chest_xray.training.config import TrainConfig
from chest_xray.training.run import RunFolder
from chest_xray.training.train import train

pytestmark = pytest.mark.slow

NAMES = ("Lung Opacity", "Support-Devices", "Fracture")
SIDE = 32
SPLITS = {"train": 64, "val": 40, "test": 40}
PNG = {"content-type": "image/png"}


def drawn(number: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """A film in which each finding is a bright band at a height of its own."""
    rng = np.random.default_rng(number)
    labels = tuple(int(present) for present in rng.random(len(NAMES)) < 0.5)
    pixels = rng.integers(0, 90, (SIDE, SIDE))
    for place, present in enumerate(labels):
        pixels[4 + 10 * place : 8 + 10 * place] += 140 * present
    return pixels.astype(np.uint8), labels


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    films = {}
    for split, count in SPLITS.items():
        for _ in range(count):
            number = len(films)
            pixels, labels = drawn(number)
            boxes = (Box("Fracture", 0, 24, SIDE, 4),) if split == "test" and labels[2] else ()
            films[f"film-{number:03d}.png"] = LabelledFilm(pixels, labels, split, boxes)
    return prepare_films(films, NAMES, tmp_path_factory.mktemp("other"), side=SIDE)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def run(data: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = TrainConfig(epochs=1, batch_size=16, ema_decay=0.5)
    return train(data, tmp_path_factory.mktemp("runs") / "run", config, Settings(home=home))


@pytest.fixture(scope="module")
def evaluation(run: Path, data: Path, home: Path) -> Evaluation:
    return evaluate(run, data, Settings(home=home), Choices(rounds=100, prior={"Fracture": 0.25}))


@pytest.fixture(scope="module")
def bundle(run: Path, data: Path, evaluation: Evaluation) -> Bundle:
    return export(run, data)


def test_the_shards_name_them(data: Path) -> None:
    shards = Shards.open(data)
    assert shards.findings == NAMES
    assert json.loads((data / "dataset.json").read_text())["findings"] == list(NAMES)
    assert [tuple(row) for row in shards.labels.tolist()] == [drawn(number)[1] for number in range(len(shards))]


def test_run_and_evaluation_are_of_them(run: Path, evaluation: Evaluation) -> None:
    record = RunFolder(run).record()
    assert (record.findings, len(record.positive_weights)) == (NAMES, 3)
    assert tuple(evaluation.findings) == tuple(evaluation.mean.findings) == NAMES
    table = pq.read_table(run / "evaluation" / "predictions.parquet")
    assert [name for name in table.column_names if name.endswith(".logit")] == [f"{name}.logit" for name in NAMES]
    assert evaluation.prior is not None
    assert evaluation.prior.given == {"Fracture": 0.25}
    assert evaluation.localisation is not None
    assert list(evaluation.localisation.findings) == ["Fracture"]
    positives = sum(drawn(number)[1][2] for number in range(104, 144))
    assert evaluation.localisation.overall.boxes == evaluation.findings["Fracture"].positives == positives
    assert "Support-Devices" in (run / "evaluation" / "report.html").read_text()


def test_the_bundle_is_of_them(bundle: Bundle, evaluation: Evaluation) -> None:
    manifest = bundle.manifest
    assert manifest.logits == tuple(manifest.findings) == NAMES
    assert len(manifest.golden.logits) == 3
    assert {name: profile.auroc for name, profile in manifest.findings.items()} == {
        name: row.auroc for name, row in evaluation.findings.items()
    }
    assert manifest.findings["Fracture"].calibration.prior == 0.25
    baseline = pq.read_table(bundle.root / "baseline" / "validation.parquet")
    assert baseline.column_names[:3] == list(NAMES)
    assert "\n# DenseNet121, 3 findings\n" in (bundle.root / "model_card.md").read_text()


def test_the_answer_over_http_is_of_them(run: Path, data: Path, bundle: Bundle, tmp_path: Path) -> None:
    """Names in order; probabilities of the evaluation and of the predictor; thresholds of the manifest."""
    shards = Shards.open(data)
    row = int(shards.rows("test")[0])
    image = png(shards.read([row])[0])
    predictor = OnnxPredictor.load(bundle.root)
    truth = GroundTruthLog(tmp_path, "other", NAMES)
    client = Client(create_app(predictor, audit=FileAudit.open(tmp_path), ground_truth=truth))
    answer = client.post("/v1/predictions?explain=all", content=image, headers=PNG).json()
    expected = predictor.predict(image, explain=["all"])
    assert [found["finding"] for found in answer["findings"]] == list(NAMES)
    assert [found["probability"] for found in answer["findings"]] == [s.probability for s in expected.findings]
    table = pq.read_table(run / "evaluation" / "predictions.parquet")
    place = table["image"].to_pylist().index(shards.images[row])
    for found in answer["findings"]:
        name = found["finding"]
        point = bundle.manifest.findings[name].operating_point
        assert point is not None
        assert found["operating_point"] == point.threshold
        assert found["flag"] == (found["probability"] >= point.threshold)
        assert found["probability"] == pytest.approx(table[f"{name}.probability"][place].as_py(), abs=1e-4)
        np.testing.assert_allclose(answer["heat_maps"][name], expected.heat_maps[name], atol=1e-6)
    assert list(answer["heat_maps"]) == list(NAMES)
    assert list(client.get("/v1/model").json()["findings"]) == list(NAMES)
    body = {"event_id": answer["event_id"], "model_digest": bundle.digest, "findings": {"Support-Devices": True}}
    assert client.post("/v1/feedback", json=body).status_code == 201
    assert [dict(judged.findings) for judged in truth.read().truths.values()] == [{"Support-Devices": True}]
