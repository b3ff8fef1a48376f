"""`cxr train --dry-run`: what it prints is what AWS is asked for, and it asks for nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.emulators import client, shared_emulator, variables
from tests.support.networks import Network
from typer.testing import CliRunner, Result

from chest_xray.backends.sagemaker.aws import Aws
from chest_xray.backends.sagemaker.store import Store
from chest_xray.backends.sagemaker.training.uploads import Inputs
from chest_xray.cli.app import app
from chest_xray.settings import Settings
from chest_xray.training.config import TrainConfig


@pytest.fixture(autouse=True)
def _user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in variables(tmp_path / "home").items():
        monkeypatch.setenv(name, value)


def train(data: Path, output: Path, *options: str) -> Result:
    command = ["train", "--data", str(data), "--output", str(output), "--epochs", "1", *options]
    return CliRunner().invoke(app, command)


def below(prefix: str) -> dict[str, int]:
    bucket = shared_emulator().bucket
    found = client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ())
    return {f"s3://{bucket}/{item['Key']}": item["Size"] for item in found}


def test_nobody_has_to_answer(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    done = train(data, tmp_path / "run", "--backend", "sagemaker", "--dry-run", "--use-spot", "--job-name", "planned")
    assert done.exit_code == 0, done.output
    *uploads, experiment, job = json.loads(done.stdout)
    assert {upload["operation"] for upload in uploads} == {"PutObject"}
    assert experiment["operation"] == "CreateExperiment"
    assert (job["service"], job["operation"]) == ("sagemaker", "CreateTrainingJob")
    assert job["request"]["TrainingJobName"] == "planned"
    assert job["request"]["EnableManagedSpotTraining"] is True
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "home").exists()


def test_the_uploads_are_those_that_follow(data: Path, tmp_path: Path) -> None:
    bucket = shared_emulator().bucket
    weights = tmp_path / "first.safetensors"
    weights.write_bytes(b"not read here")
    options = ("--init", str(weights), "--prefix", "planned", "--dry-run", "--backend", "sagemaker")
    *uploads, experiment, job = json.loads(train(data, tmp_path / "run", *options).stdout)
    assert below("planned/") == {}
    assert experiment["request"]["ExperimentName"] == job["request"]["ExperimentConfig"]["ExperimentName"]
    store = Store(Aws("us-east-1"), bucket, "planned", None)
    Inputs.read(data, TrainConfig(epochs=1, init=str(weights)), Settings(), store).upload(store)
    assert below("planned/") == {upload["to"]: upload["bytes"] for upload in uploads}
    read = [_place(channel) for channel in job["request"]["InputDataConfig"]]
    assert all(any(name.startswith(place) for name in below("planned/")) for place in read)


def _place(channel: dict[str, Any]) -> str:
    return str(channel["DataSource"]["S3DataSource"]["S3Uri"])


def test_it_is_for_sagemaker_and_holds_the_same_rules(data: Path, tmp_path: Path) -> None:
    here = train(data, tmp_path / "run", "--dry-run")
    assert (here.exit_code, "add --backend sagemaker" in str(here.exception)) == (1, True)
    broken = train(data, tmp_path / "run", "--dry-run", "--backend", "sagemaker", "--max-wait-hours", "3")
    assert "--max-wait-hours is for spot instances" in str(broken.exception)


def test_subnets_that_reach_nothing_are_named_before_anything_is_copied(data: Path, tmp_path: Path) -> None:
    network = Network.create()
    options = ("--backend", "sagemaker", "--prefix", "nowhere", "--subnets", network.subnet)
    done = train(data, tmp_path / "run", *options, "--security-groups", network.group)
    assert f"{network.subnet} does not reach s3, ecr.api, ecr.dkr, logs, sts, sagemaker.api" in str(done.exception)
    assert below("nowhere/") == {}
