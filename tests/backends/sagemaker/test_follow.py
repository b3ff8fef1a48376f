"""A job followed to its end: how often it is looked at, and what a wait survives."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.emulators import aws_environment, client, shared_emulator, shell_job

from chest_xray.backends.sagemaker.aws import PATIENT, Aws
from chest_xray.backends.sagemaker.follow import TRAINING, follow
from chest_xray.backends.sagemaker.training.results import bill

TRANSITIONS = [{"Status": "Starting", "StatusMessage": "Launching"}, {"Status": "Training", "StatusMessage": "Runs"}]


class SlowJob:
    """AWS itself, with a job that says nothing for 30 looks. Every call is kept."""

    is_real = True

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.slept: list[float] = []

    def call(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        self.calls.append(operation)
        looks = self.calls.count("describe_training_job")
        match operation:
            case "describe_training_job":
                status = "InProgress" if looks < 30 else "Completed"
                return {"TrainingJobStatus": status, "SecondaryStatusTransitions": TRANSITIONS[: 1 + (looks > 20)]}
            case "describe_log_streams":
                names = ["job/algo-1-1700000000"] if looks > 20 else []
                return {"logStreams": [{"logStreamName": name} for name in names]}
            case "get_log_events":
                events = [{"message": "epoch=1"}] if "nextToken" not in request else []
                return {"events": events, "nextForwardToken": "f/1"}
        pytest.fail(f"{operation} was not expected")


def test_a_job_is_looked_at_every_10_seconds_at_most(capsys: pytest.CaptureFixture[str]) -> None:
    aws: Any = SlowJob()
    job, lines = follow(aws, TRAINING, "job", poll_seconds=0.1, sleep=aws.slept.append)
    assert job["TrainingJobStatus"] == "Completed"
    assert lines == ["epoch=1"]
    assert min(aws.slept) == 10
    assert max(aws.slept) == 60
    assert aws.slept[20] == 10  # something happened: it looks sooner again
    assert not [name for name in aws.calls if name.startswith("list_")]
    printed = capsys.readouterr().err.splitlines()
    assert printed == ["job: Starting. Launching", "job: Training. Runs", "epoch=1"]
    assert aws.calls[-1] == "get_log_events"


def test_credentials_that_expire_half_way_and_are_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = shared_emulator()
    old, path = "AKIA" + "O" * 16, tmp_path / "credentials"
    path.write_text(f"[default]\naws_access_key_id = {old}\naws_secret_access_key = x\n")
    aws_environment(monkeypatch)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    emulator.gate.keys.add(old)
    done = tmp_path / "done"
    client("sagemaker").create_training_job(**shell_job("renewed", f"while [ ! -e {done} ]; do sleep 0.1; done"))
    naps = 0

    def sleep(_seconds: float) -> None:
        nonlocal naps
        naps += 1
        if naps == 1:
            emulator.gate.keys.discard(old)
        if naps == 4:
            path.write_text(emulator.credentials.read_text())
        if naps == 5:
            done.touch()
        client("sagemaker").describe_training_job(TrainingJobName="renewed")

    aws = Aws("us-east-1", sleep=sleep)
    aws.patience = PATIENT
    job, _ = follow(aws, TRAINING, "renewed", poll_seconds=0.1, sleep=sleep)
    assert naps > 4
    assert job["TrainingJobStatus"] == "Completed"


def test_the_bill() -> None:
    job = {"TrainingTimeInSeconds": 3600, "BillableTimeInSeconds": 1080, "ResourceConfig": {"InstanceCount": 2}}
    found = bill(job, 0.7364)
    assert found.saved == pytest.approx(0.7)
    assert found.usd == pytest.approx(0.7364 * 2 * 0.3)
    assert str(bill(job, None)).endswith("70% saved by spot instances; give --usd-per-hour for its cost.")
    assert bill({"ResourceConfig": {}}, 1.0).saved == 0
