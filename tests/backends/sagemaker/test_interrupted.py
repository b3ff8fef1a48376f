"""A job is created once, whatever happens between this machine and AWS."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from tests.support.emulators import client, variables

from chest_xray.backends.sagemaker.aws import Aws
from chest_xray.backends.sagemaker.training.jobs import TrainingJobs
from chest_xray.emulator.account import ACCOUNT
from chest_xray.errors import CloudError, TrainingError
from chest_xray.settings import load_sagemaker_settings, load_settings
from chest_xray.training.config import TrainConfig


class LossyAws(Aws):
    """Answers to CreateTrainingJob that get lost, or a process that is killed before it asks."""

    def __init__(self, lose: Exception) -> None:
        super().__init__("us-east-1", sleep=lambda _: None)
        self._lose: list[Exception] = [lose]

    def client(self, service: str) -> Any:
        found = super().client(service)
        if service != "sagemaker" or not self._lose:
            return found
        return self._Losing(found, self._lose)

    class _Losing:
        def __init__(self, inner: Any, lose: list[Exception]) -> None:
            self._inner, self._lose = inner, lose

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def create_training_job(self, **request: Any) -> None:
            error = self._lose.pop()
            if not isinstance(error, KeyboardInterrupt):
                self._inner.create_training_job(**request)
            raise error


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables(tmp_path, "echo").items():
        monkeypatch.setenv(name, value)


def test_a_lost_answer_does_not_make_a_second_job(data: Path, tmp_path: Path, user: None) -> None:
    aws = LossyAws(EndpointConnectionError(endpoint_url="https://sagemaker"))
    jobs = TrainingJobs(load_settings(), load_sagemaker_settings(), aws)
    with pytest.raises(TrainingError, match="is Completed and left no model at s3://"):
        jobs.train(data, tmp_path / "lost", TrainConfig(batch_size=8))
    assert len(client("sagemaker").list_training_jobs(NameContains="lost-")["TrainingJobSummaries"]) == 1


def test_killed_before_the_request_the_same_command_asks_again(data: Path, tmp_path: Path, user: None) -> None:
    jobs = TrainingJobs(load_settings(), load_sagemaker_settings(), LossyAws(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        jobs.train(data, tmp_path / "killed", TrainConfig(batch_size=8))
    assert client("sagemaker").list_training_jobs(NameContains="killed-")["TrainingJobSummaries"] == []
    for _ in range(2):
        with pytest.raises(TrainingError, match="left no model"):
            jobs.train(data, tmp_path / "killed", TrainConfig(batch_size=8))
    # The second time it was found again, and not made anew.
    assert len(client("sagemaker").list_training_jobs(NameContains="killed-")["TrainingJobSummaries"]) == 1
    with pytest.raises(TrainingError, match=r"was started with epochs=20, this is 3. Use another --output"):
        jobs.train(data, tmp_path / "killed", TrainConfig(batch_size=8, epochs=3))


def test_a_refused_job_is_forgotten(data: Path, tmp_path: Path, user: None) -> None:
    options = {"image": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/absent:1"}
    jobs = TrainingJobs(load_settings(), load_sagemaker_settings(options))
    with pytest.raises(CloudError, match="Push the image to ECR"):
        jobs.train(data, tmp_path / "refused", TrainConfig(batch_size=8))
    assert not (tmp_path / "refused").exists()
