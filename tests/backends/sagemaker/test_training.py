"""`cxr train --backend sagemaker` on the emulator: the same weights, and every way in which a job does not end well."""

import json
import re
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.support.emulators import client, ended, log_lines, shared_emulator, states, variables, wait_until
from tests.support.processes import ROOT

from chest_xray.backends.sagemaker.aws import Aws
from chest_xray.backends.sagemaker.training.jobs import TrainingJobs
from chest_xray.backends.sagemaker.training.request import METRICS
from chest_xray.emulator.gate import Throttle
from chest_xray.errors import TrainingError
from chest_xray.settings import load_sagemaker_settings, load_settings
from chest_xray.training.config import TrainConfig
from chest_xray.training.run import RunFolder

LONG = 10  # epochs
OPTIONS = ("--epochs=2", "--batch-size=8", "--checkpoint-steps=2", "--learning-rate=0.002")


def start(env: dict[str, str], *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "chest_xray.cli", "train", *map(str, arguments)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def run(env: dict[str, str], *arguments: object) -> tuple[int, str]:
    process = start(env, *arguments)
    _, err = process.communicate(timeout=300)
    return process.returncode, err


def job_name(line: str) -> str:
    return re.search(r"Training job (\S+) ", line).group(1)


def only_job(bucket_prefix: str) -> dict[str, Any]:
    sagemaker = client("sagemaker")
    found = sagemaker.list_training_jobs(NameContains=bucket_prefix)["TrainingJobSummaries"]
    return sagemaker.describe_training_job(TrainingJobName=found[-1]["TrainingJobName"])


def reclaim_once_there_is_a_checkpoint(job: str) -> None:
    """Whatever the client has heard of the job by then."""

    def reclaimed() -> bool:
        place = f"chest-xray/checkpoints/{job}/"
        kept = client("s3").list_objects_v2(Bucket=shared_emulator().bucket, Prefix=place).get("Contents", [])
        whole = f"{place}checkpoint.pt" in [item["Key"] for item in kept]
        return whole and shared_emulator().order("reclaim", job) is None

    wait_until(reclaimed, seconds=120)


@pytest.mark.slow
def test_a_job_on_spot_says_what_became_of_it_and_leaves_a_run(data: Path, tmp_path: Path) -> None:
    """That its weights are those of training here is what tests/emulator/test_demo.py shows."""
    env = variables(tmp_path / "home")
    cloud = tmp_path / "reclaimed"
    spot = ("--backend", "sagemaker", "--instance-type", "ml.g4dn.xlarge", "--use-spot", "--usd-per-hour", "0.7")
    # Longer than the copy of a checkpoint takes on a busy machine.
    options = ("--job-name", "taken-away", *OPTIONS, f"--epochs={LONG}", f"--patience={LONG}")
    process = start(env, *spot, "--data", data, "--output", cloud, *options)
    try:
        reclaim_once_there_is_a_checkpoint("taken-away")
    finally:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert len(RunFolder(cloud).record().history) == LONG
    left = {str(path.relative_to(cloud)) for path in cloud.rglob("*") if path.is_file()}
    assert {"job.json", "model/training.json", "model/weights.safetensors"} <= left
    _check_job(client("sagemaker").describe_training_job(TrainingJobName="taken-away"), err, data)
    code, said = run(env, *spot, "--data", data, "--output", cloud, *options)
    assert (code, "nothing to do" in said) == (0, True)


def _check_job(job: dict[str, Any], err: str, data: Path) -> None:
    assert states(job).count("Interrupted") == 1
    assert "Going on from step" in err
    assert re.search(r"s of training, \d+ s billed: \d\d% saved by spot instances; 0.\d\d USD", err)
    record = json.loads((data / "dataset.json").read_text())
    assert job["Environment"]["CXR_DATA_HASH"] == record["data_hash"]
    channels = {item["ChannelName"]: item["DataSource"]["S3DataSource"]["S3Uri"] for item in job["InputDataConfig"]}
    assert channels["shards"].endswith(f"/data/{record['data_hash']}")
    config = client("s3").get_object(
        Bucket=shared_emulator().bucket, Key=f"{channels['config'].split('/', 3)[3]}/config.json"
    )
    assert json.loads(config["Body"].read())["epochs"] == LONG
    assert {name: value for name, value in job["HyperParameters"].items() if not isinstance(value, str)} == {}
    # Every metric was found in the real log, and the last epoch's value counts.
    last = [line for line in log_lines(client("logs"), job["TrainingJobName"]) if line.startswith("epoch=")][-1]
    found = {item["MetricName"]: item["Value"] for item in job["FinalMetricDataList"]}
    assert found == {name: float(re.search(regex, last).group(1)) for name, regex in METRICS.items()}


@pytest.mark.slow
def test_the_archive_in_s3_is_flat_and_holds_files_only(data: Path, tmp_path: Path) -> None:
    env = variables(tmp_path / "home")
    arguments = ("--data", data, "--output", tmp_path / "flat", "--epochs", 1, "--batch-size", 8, "--job-name", "flat")
    process = subprocess.run(
        [sys.executable, "-m", "chest_xray.training.train_sagemaker", *map(str, arguments)],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=ROOT,
    )
    assert process.returncode == 0, process.stderr
    key = "chest-xray/jobs/flat/output/model.tar.gz"
    client("s3").download_file(shared_emulator().bucket, key, str(tmp_path / "model.tar.gz"))
    with tarfile.open(tmp_path / "model.tar.gz") as opened:
        assert [(m.name, m.isreg(), m.mtime, m.uname) for m in opened] == [
            ("training.json", True, 0, ""),
            ("weights.safetensors", True, 0, ""),
        ]
    attached = tmp_path / "elsewhere"
    code, err = run(variables(tmp_path / "other"), "attach", "flat", "--output", attached)
    assert code == 0, err
    assert RunFolder(attached).weights.read_bytes() == RunFolder(tmp_path / "flat").weights.read_bytes()
    code, err = run(variables(tmp_path / "other"), "attach", "flat")
    assert (code, "say with --output" in err) == (2, True)
    code, err = run(env, "resume", "flat")
    assert (code, "only a stopped or failed job" in err) == (2, True)


def test_a_failure_brings_the_last_lines_and_the_likely_cause(data: Path, tmp_path: Path) -> None:
    code, err = run(
        variables(tmp_path, "fails"), "--backend=sagemaker", "--data", data, "--output", tmp_path / "run", *OPTIONS
    )
    assert code == 2
    lines = err.splitlines()
    assert [line for line in lines if line.startswith("line ")][-3:] == ["line 28", "line 29", "line 30"]
    assert lines[-1].startswith("error: Training job run-")
    assert "Likely cause: the image lacks a library (No module named 'cv2'): build and push it again." in lines[-1]


@pytest.mark.slow
def test_ctrl_c_leaves_the_job_and_stop_and_resume_work_on_it(data: Path, tmp_path: Path) -> None:
    env = variables(tmp_path, "sleeps")
    arguments = ("--backend=sagemaker", "--use-spot", "--data", data, "--output", tmp_path / "run", *OPTIONS)
    process = start(env, *arguments)
    name = job_name(next(line for line in process.stderr if line.startswith("Training job ")))
    assert any("ready" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"cxr train attach {name}" in err
    assert f"cxr train stop {name}" in err
    sagemaker = client("sagemaker")
    assert sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress"
    assert run(env, "stop", name) == (0, f"{name} is Stopping. To go on with it: cxr train resume {name}\n")
    ended(sagemaker, name)
    code, err = run(env, "attach", name)
    assert code == 3
    assert f"is not finished: it was stopped. There is no model; cxr train resume {name}" in err
    again = start(env, "resume", name)
    wait_until(lambda: sagemaker.list_training_jobs(NameContains=f"{name}-r2")["TrainingJobSummaries"])
    first, second = (sagemaker.describe_training_job(TrainingJobName=n) for n in (name, f"{name}-r2"))
    for member in ("CheckpointConfig", "InputDataConfig", "StoppingCondition", "HyperParameters", "Environment"):
        assert first[member] == second[member]
    wait_until(lambda: sagemaker.describe_training_job(TrainingJobName=f"{name}-r2")["SecondaryStatus"] == "Training")
    assert run(env, "stop", f"{name}-r2")[0] == 0
    assert again.wait(timeout=60) == 3
    again.communicate()


def test_a_job_at_its_limit_is_not_finished_and_not_failed(data: Path, tmp_path: Path) -> None:
    arguments = ("--backend=sagemaker", "--data", data, "--output", tmp_path / "run", "--max-hours", 1 / 3600, *OPTIONS)
    code, err = run(variables(tmp_path, "sleeps"), *arguments)
    assert code == 3
    assert "is not finished: it reached --max-hours (1 s)" in err.splitlines()[-1]
    assert not (tmp_path / "run" / "model").exists()


def test_what_breaks_a_rule_reaches_nothing(data: Path, tmp_path: Path) -> None:
    """No emulator, no network, no credentials: the refusal comes before any of them is needed."""
    env = variables(tmp_path) | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_DEFAULT_REGION": "us-east-1"}
    for option, said in (
        ("--job-name=first_run", "Take first-run instead"),
        ("--instance-type=ml.g9.xlarge", "InstanceType is 'ml.g9.xlarge'"),
        ("--instance-count=2", "training uses one instance"),
        ("--tags=aws:x=y", "begins with aws:"),
        ("--kms-key=arn:aws:kms:eu-west-1:123456789012:key/a", "is in eu-west-1, and the job in us-east-1"),
        ("--init=absent.safetensors", "There are no weights at absent.safetensors"),
    ):
        code, err = run(env, "--backend=sagemaker", "--data", data, "--output", tmp_path / "run", option)
        assert (code, err.startswith("error: ")) == (2, True), err
        assert said in err
        assert len(err.splitlines()) == 1
    code, err = run(env, "--use-spot", "--data", data, "--output", tmp_path / "run")
    assert (code, "--use-spot is for SageMaker" in err) == (2, True)
    assert not (tmp_path / "run").exists()


def test_a_bucket_elsewhere_or_nowhere_is_one_line(data: Path, tmp_path: Path) -> None:
    client("s3").create_bucket(
        Bucket="cxr-in-frankfurt", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    for bucket, said in (("cxr-in-frankfurt", "is in eu-central-1"), ("nobody-has-it", "Create the bucket")):
        arguments = ("--backend=sagemaker", "--data", data, "--output", tmp_path / "run", "--bucket", bucket)
        code, err = run(variables(tmp_path), *arguments)
        assert (code, said in err) == (2, True), err
        assert len(err.splitlines()) == 1


def test_throttling_costs_time_only(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables(tmp_path, "fails").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(shared_emulator().gate, "throttle", Throttle(0.3, seed=5))
    waited: list[float] = []
    jobs = TrainingJobs(load_settings(), load_sagemaker_settings(), Aws("us-east-1", sleep=waited.append))
    with pytest.raises(TrainingError, match="Likely cause: the image lacks a library"):
        jobs.train(data, tmp_path / "throttled", TrainConfig(batch_size=8))
    assert len(waited) >= 10
