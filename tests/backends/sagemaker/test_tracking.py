"""A job's run in MLflow by an ARN: AWS's plugin signs the requests, and a real MLflow server answers them."""

import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from tests.support.emulators import client, variables
from tests.support.processes import environment, run_cxr

ARN = "arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/lungs"
OPTIONS = ("--epochs", "2", "--batch-size", "8", "--learning-rate", "0.002")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/runs.db", "--default-artifact-root", (folder / "files").as_uri(),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=log, stderr=log)
    try:
        _await(f"http://127.0.0.1:{port}/health", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(log.read_text())


def job_of(line: str) -> dict[str, Any]:
    name = re.search(r"Training job (\S+) ", line)[1]
    return client("sagemaker").describe_training_job(TrainingJobName=name)


@pytest.mark.slow
def test_a_job_records_its_run_where_the_arn_says(server: str, data: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    env = variables(home)
    env["CXR_SAGEMAKER_ENVIRONMENT"] += f",SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT={server}"
    done = run_cxr(
        "train", "--backend", "sagemaker", "--mlflow-arn", ARN, "--data", data, "--output", tmp_path / "run", *OPTIONS,
        home=home, env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    job = job_of(done.stderr)
    assert job["MlflowConfig"] == {
        "MlflowResourceArn": ARN, "MlflowExperimentName": "chest-xray", "MlflowRunName": job["TrainingJobName"]
    }  # fmt: skip
    assert job["ExperimentConfig"] == {
        "ExperimentName": "chest-xray", "TrialComponentDisplayName": job["TrainingJobName"]
    }  # fmt: skip
    mlflow = MlflowClient(tracking_uri=server)
    experiment = mlflow.get_experiment_by_name("chest-xray")
    (run,) = mlflow.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["learning_rate"] == "0.002"
    points = mlflow.get_metric_history(run.info.run_id, "val_loss")
    found = {item["MetricName"]: item["Value"] for item in job["FinalMetricDataList"]}
    assert len(points) == 2
    assert points[-1].value == pytest.approx(found["validation:loss"], rel=1e-4)
    assert mlflow.list_artifacts(run.info.run_id)


def test_an_arn_of_something_else_is_refused_before_any_call(data: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    other = "arn:aws:sagemaker:us-east-1:123456789012:something/else"
    job = ("--backend", "sagemaker", "--data", data, "--output", tmp_path / "run", *OPTIONS)
    refused = run_cxr("train", *job, "--mlflow-arn", other, home=home, env=variables(home))
    assert refused.returncode == 2
    assert "MlflowConfig.MlflowResourceArn" in refused.stderr
    assert not (tmp_path / "run").exists()
