"""Calls to AWS: what passes is waited out, and what does not is one line with its cure."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from tests.support.emulators import aws_environment, shared_emulator

from chest_xray.backends.sagemaker.aws import PATIENT, Aws
from chest_xray.backends.sagemaker.refusals import explain
from chest_xray.emulator.gate import Throttle
from chest_xray.errors import CloudError, SettingsError


def refusal(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "CreateTrainingJob")


def failing_with(*errors: Exception) -> Callable[[Any], str]:
    left = iter(errors)

    def ask(_client: Any) -> str:
        for error in left:
            raise error
        return "answered"

    return ask


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    aws_environment(monkeypatch)
    slept: list[float] = []
    made = Aws("us-east-1", sleep=slept.append)
    made.patience = PATIENT
    vars(made)["slept"] = slept
    return made


def test_bursts_of_throttling_and_lost_connections_pass(aws: Aws) -> None:
    lost = EndpointConnectionError(endpoint_url="https://sagemaker")
    errors = [refusal("ThrottlingException")] * 10 + [lost, ReadTimeoutError(endpoint_url="x"), refusal("SlowDown")]
    assert aws.patiently("s3", failing_with(*errors)) == "answered"
    slept = vars(aws)["slept"]
    assert len(slept) == 13
    assert max(slept) <= 10
    assert slept[0] <= 1


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException", "ResourceLimitExceeded"])
def test_a_refusal_is_not_asked_again(aws: Aws, code: str) -> None:
    with pytest.raises(CloudError, match=code):
        aws.patiently("s3", failing_with(refusal(code, "no")))
    assert vars(aws)["slept"] == []


def test_patience_ends(aws: Aws) -> None:
    aws.patience = -1
    with pytest.raises(CloudError, match="Could not connect"):
        aws.patiently("s3", failing_with(EndpointConnectionError(endpoint_url="https://sagemaker")))


def test_a_throttled_account_answers_in_the_end(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_emulator().gate, "throttle", Throttle(0.5, seed=1))
    for _ in range(40):
        assert "TrainingJobSummaries" in aws.call("sagemaker", "list_training_jobs")


@pytest.fixture
def expired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A credentials file whose key the emulator no longer knows."""
    path = tmp_path / "credentials"
    path.write_text("[default]\naws_access_key_id = AKIAEXPIREDEXPIRED00\naws_secret_access_key = x\n")
    aws_environment(monkeypatch)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    return path


def test_expired_credentials_are_read_anew(expired: Path) -> None:
    def renew(_seconds: float) -> None:
        expired.write_text(shared_emulator().credentials.read_text())

    aws = Aws("us-east-1", sleep=renew)
    aws.patience = PATIENT
    assert "TrainingJobSummaries" in aws.call("sagemaker", "list_training_jobs")


def test_expired_credentials_end_a_call_for_which_nobody_waits(expired: Path) -> None:
    with pytest.raises(CloudError, match="Log in again"):
        Aws("us-east-1", sleep=pytest.fail).call("sagemaker", "list_training_jobs")


def test_no_region_and_no_profile_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aws_environment(monkeypatch)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "absent"))
    with pytest.raises(SettingsError, match="No AWS region is set: give --region"):
        Aws(None).call("sagemaker", "list_training_jobs")
    with pytest.raises(CloudError, match="aws configure"):
        Aws("us-east-1").call("sagemaker", "list_training_jobs")
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(SettingsError, match="Set AWS_PROFILE to a profile"):
        Aws("us-east-1").call("sagemaker", "list_training_jobs")


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (refusal("ResourceLimitExceeded", "limit of 0 ml.g4dn.xlarge for spot training job usage"), "Service Quotas"),
        (refusal("ValidationException", "User is not authorized to perform: kms:Decrypt"), "key's policy"),
        (refusal("AccessDeniedException", "is not authorized to perform: iam:PassRole"), "iam:PassRole on the role"),
        (refusal("AccessDenied", "Access Denied"), "in an IAM policy"),
        (refusal("ValidationException", "Requested image x:y not found."), "Push the image to ECR"),
        (refusal("404", "Not Found"), "Create the bucket"),
        (refusal("CapacityError", "Insufficient capacity"), "another --instance-type"),
        (refusal("ResourceInUse", "job names must be unique"), "another --job-name"),
        (NoCredentialsError(), "aws configure"),
    ],
)
def test_each_refusal_comes_with_its_cure(error: Exception, cure: str) -> None:
    assert cure in explain(error)
    assert "\n" not in explain(error)
