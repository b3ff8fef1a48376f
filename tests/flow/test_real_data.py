"""Real NIH radiographs all the way: shards, training, evaluation, registry, endpoint, HTTP."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from tests.support.processes import environment, run_cxr

from chest_xray.data.shards import Shards

pytestmark = [pytest.mark.slow, pytest.mark.real_data]

MODEL = "nih-mini"


def mode(film: Path) -> str:
    with Image.open(film) as image:
        return image.mode


def cxr(home: Path, *arguments: object) -> str:
    done = run_cxr(*arguments, home=home, timeout=540)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real") / "home"


@pytest.fixture(scope="module")
def run(real_data: Path, home: Path) -> Path:
    """A short training on nih-mini, evaluated, exported, registered, approved and deployed."""
    shards, run = home.parent / "shards", home.parent / "run"
    report = json.loads(
        cxr(home, "prepare-data", "--source", real_data / "nih-mini", "--output", shards, "--image-size", 64, "--json")
    )
    assert report["splits"] == {"train": 873, "val": 99, "test": 234}
    assert report["rejected"] == 0
    cxr(home, "train", "--data", shards, "--output", run, "--epochs", 2, "--ema-decay", 0.9, "--batch-size", 16)
    cxr(home, "evaluate", "--run", run, "--data", shards, "--rounds", 200)
    cxr(home, "export", "--run", run, "--data", shards)
    cxr(home, "register", "--bundle", run / "bundle", "--model-name", MODEL)
    cxr(home, "approve", MODEL, "--version", 1, "--reason", "a test on real films")
    cxr(home, "deploy", "--model-name", MODEL, "--endpoint", MODEL)
    return run


@pytest.fixture(scope="module")
def server(run: Path, home: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "chest_xray.cli", "serve", "--endpoint", MODEL, "--port", "0"]
    process = subprocess.Popen(command, env=environment() | {"CXR_HOME": str(home)}, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    url = next(found.group(0) for line in process.stderr if (found := re.search(r"http://[\d.:]+", line)))
    yield url
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_patients_stay_in_one_split(run: Path) -> None:
    shards = Shards.open(run.parent / "shards")
    patients = {split: set(shards.patients[shards.rows(split)].tolist()) for split in ("train", "val", "test")}
    assert not patients["train"] & patients["test"]
    assert not patients["val"] & (patients["train"] | patients["test"])
    assert len(patients["train"] | patients["val"] | patients["test"]) == 966


def test_the_evaluation_says_what_it_is_of(run: Path) -> None:
    evaluation = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert (evaluation["images"], evaluation["label_version"]) == (234, "v2020")
    assert evaluation["mean"]["ci95"][0] < evaluation["mean"]["auroc"] < evaluation["mean"]["ci95"][1]


@pytest.mark.parametrize("kind", ["RGBA", "L"])
def test_a_full_size_film_over_http_equals_cxr_predict(
    kind: str, real_data: Path, home: Path, server: str, run: Path
) -> None:
    films = sorted((real_data / "nih-fullsize" / "images").glob("*.png"))
    film = next(path for path in films if mode(path) == kind)
    (local,) = json.loads(cxr(home, "predict", film, "--endpoint", MODEL, "--json"))
    headers = {"Content-Type": "image/png"}
    answer = httpx.post(f"{server}/v1/predictions", content=film.read_bytes(), headers=headers, timeout=60)
    assert answer.status_code == 200
    body = answer.json()
    assert body["findings"] == local["findings"]
    assert body["model"] == local["model"]
    assert body["notice"] == "Research use only. Not a medical device."
