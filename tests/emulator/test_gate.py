"""Who may ask the emulator, and what it throttles."""

import contextlib
import stat
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from tests.support.emulators import client

from chest_xray.emulator.gate import Throttle
from chest_xray.emulator.server import Emulator


def test_a_request_without_the_access_key_gets_nowhere(emulator: Emulator) -> None:
    """A page in a browser can send a request to loopback; it cannot know the key."""
    for path, headers in (
        ("/", {"X-Amz-Target": "SageMaker.ListTrainingJobs"}),
        ("/", {"X-Amz-Target": "SageMaker.ListTrainingJobs", "Authorization": "Credential=AKIAIOSFODNN7EXAMPLE/"}),
        (f"/{emulator.bucket}", {}),
        ("/moto-api/reset", {}),
        ("/_emulator/stop", {}),
    ):
        with pytest.raises(HTTPError) as caught:
            urlopen(Request(f"{emulator.url}{path}", data=b"{}", headers=headers, method="POST"), timeout=10)
        with caught.value as answer:
            assert answer.code in (400, 403)
            assert "Access-Control-Allow-Origin" not in answer.headers
    assert not emulator.stopped.is_set()


def test_the_key_is_its_owners(emulator: Emulator) -> None:
    assert stat.S_IMODE(emulator.credentials.stat().st_mode) == 0o600
    assert emulator.url.startswith("http://127.0.0.1:")


def test_presigned_links_and_assumed_roles_are_known(emulator: Emulator, s3: Any) -> None:
    s3.put_object(Bucket=emulator.bucket, Key="presigned", Body=b"read")
    link = s3.generate_presigned_url("get_object", {"Bucket": emulator.bucket, "Key": "presigned"})
    with urlopen(link, timeout=10) as answer:
        assert answer.read() == b"read"
    role = client("sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/reader", RoleSessionName="reader")[
        "Credentials"
    ]
    keys = {
        "aws_access_key_id": role["AccessKeyId"],
        "aws_secret_access_key": role["SecretAccessKey"],
        "aws_session_token": role["SessionToken"],
    }
    with contextlib.closing(client("sagemaker", **keys)) as reader:
        assert reader.list_models()["Models"] == []


def test_an_operation_that_is_not_there_is_said_to_be_not_there(sagemaker: Any) -> None:
    with pytest.raises(sagemaker.exceptions.ClientError, match=r"UnknownOperation.*update_training_job"):
        sagemaker.update_training_job(TrainingJobName="any")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_the_throttle_refuses_its_share_in_bursts(share: float) -> None:
    throttle = Throttle(share, seed=3)
    refused = [throttle.refuses() for _ in range(20_000)]
    assert sum(refused) / len(refused) == pytest.approx(share, abs=0.03)
    runs = "".join("x" if one else "." for one in refused).split(".")
    assert all(len(run) % 10 == 0 for run in runs[:-1])
