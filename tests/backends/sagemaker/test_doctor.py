"""`cxr doctor` on the emulator's account: all is well there, and each thing that can be wrong is said with its cure."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from typing import Any

import pytest
from moto.core.exceptions import JsonRESTError
from moto.servicequotas.responses import ServiceQuotasResponse
from tests.support.emulators import aws_environment, client, shared_emulator
from tests.support.networks import Network
from typer.testing import CliRunner

from chest_xray.backends.checks import Check
from chest_xray.backends.sagemaker.aws import Aws
from chest_xray.backends.sagemaker.doctor.account import check_clock
from chest_xray.backends.sagemaker.doctor.examine import examine
from chest_xray.cli.app import app
from chest_xray.emulator.account import ACCOUNT, ROLE, image_name
from chest_xray.settings import SageMakerSettings

TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    aws_environment(monkeypatch)


@cache
def connected() -> Aws:
    """Clients are slow to make, so all tests have the same."""
    return Aws(None)


def look(**settings: Any) -> dict[str, Check]:
    own = {"role": ROLE, "image": image_name("us-east-1", "train"), "bucket": shared_emulator().bucket}
    return {check.name: check for check in examine(connected(), SageMakerSettings(**own | settings))}


def test_the_emulators_account_is_well() -> None:
    checks = look()
    assert {name: check.state for name, check in checks.items()} == dict.fromkeys(
        [
            "region",
            "credentials",
            "clock",
            "your permissions",
            "role",
            "role's permissions",
            "bucket",
            "KMS key",
            "image",
            "network",
            "quota",
        ],
        "ok",
    )
    assert checks["credentials"].found == f"arn:aws:iam::{ACCOUNT}:user/emulator"
    assert checks["quota"].found == "ml.g4dn.xlarge for training job usage: 20, asked for 1"


def test_in_the_terminal_and_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ROLE": ROLE, "IMAGE": image_name("us-east-1", "train"), "BUCKET": "nobody-has-this"}.items():
        monkeypatch.setenv(f"CXR_SAGEMAKER_{name}", value)
    told = CliRunner().invoke(app, ["doctor", "--backend", "sagemaker"])
    assert told.exit_code == 2
    assert [line.split()[0] for line in told.output.splitlines()].count("FAILED") == 1
    assert "Create the bucket, or name another with --bucket." in told.output
    rows = json.loads(CliRunner().invoke(app, ["doctor", "--backend", "sagemaker", "--json"]).output)
    assert [row["name"] for row in rows if row["state"] == "failed"] == ["bucket"]


def test_here_nothing_of_aws_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("CXR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    rows = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).output)
    assert rows[0] == {"name": "CXR_HOME", "state": "ok", "found": str(tmp_path / "home"), "cure": ""}
    assert {row["state"] for row in rows} == {"ok"}
    assert not (tmp_path / "home").exists()


def test_without_credentials_or_region_the_rest_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (region,) = examine(Aws(None), SageMakerSettings())
    assert (region.state, "AWS_DEFAULT_REGION" in region.found) == ("failed", True)
    region, credentials = examine(Aws("eu-west-1"), SageMakerSettings())
    assert (region.state, credentials.state) == ("ok", "failed")
    assert "aws sso login" in credentials.found


@pytest.mark.parametrize(("seconds", "failed"), [(-400, True), (-30, False), (30, False), (400, True)])
def test_a_clock_that_signatures_would_not_survive(seconds: int, failed: bool) -> None:
    class Answer(Aws):
        def call(self, service: str, operation: str, **request: Any) -> Any:
            date = format_datetime(datetime.now(UTC) - timedelta(seconds=seconds), usegmt=True)
            return {"ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    found, cure = check_clock(Answer("us-east-1"), SageMakerSettings())
    assert bool(cure) is failed
    assert ("ahead of" in found) is (seconds > 0)


@pytest.fixture
def role() -> Iterator[str]:
    iam = client("iam")
    name = "narrow"
    yield name
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def _make(role: str, trust: dict[str, Any], *statements: dict[str, Any]) -> str:
    iam = client("iam")
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=json.dumps(document))
    return str(arn)


def test_a_role_that_sagemaker_may_not_assume(role: str) -> None:
    arn = _make(
        role,
        TRUST | {"Principal": {"Service": "lambda.amazonaws.com"}},
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*"},
    )
    checks = look(role=arn)
    assert (checks["role"].state, "sts:AssumeRole" in checks["role"].cure) == ("failed", True)
    assert look(role=f"arn:aws:iam::{ACCOUNT}:role/nobody")["role"].state == "failed"


def test_what_a_role_may_not_do_is_named(role: str) -> None:
    bucket = shared_emulator().bucket
    allowed = {"Effect": "Allow", "Action": ["s3:*", "logs:*", "ecr:*", "cloudwatch:*"], "Resource": "*"}
    denied = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    found = look(role=_make(role, TRUST, allowed, denied))["role's permissions"]
    assert found.found == f"not allowed: s3:PutObject on arn:aws:s3:::{bucket}/chest-xray/*"
    assert look(role=ROLE)["role's permissions"].state == "ok"


def test_a_key_that_is_disabled_or_not_there() -> None:
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    assert look(kms_key=key)["KMS key"].found == f"{key}, enabled"
    kms.disable_key(KeyId=key.rsplit("/", 1)[-1])
    assert look(kms_key=key)["KMS key"].cure == "Enable it, or name another with --kms-key."
    assert look(kms_key="alias/nobody")["KMS key"].state == "failed"


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("python:3.11", "Name an image in ECR"),
        (image_name("eu-west-1", "train"), "Push it to ECR in us-east-1"),
        (image_name("us-east-1", "train") + "-of-tomorrow", "Push the image to ECR"),
        (image_name("us-east-1", "train").replace("chest-xray", "nobody"), "Push the image to ECR"),
    ],
)
def test_an_image_that_no_job_could_pull(image: str, said: str) -> None:
    check = look(image=image)["image"]
    assert check.state == "failed"
    assert said in check.found + check.cure


def test_a_quota_below_what_is_asked_for_names_itself() -> None:
    low = look(instance_count=21, use_spot=True)["quota"]
    assert low.found == "ml.g4dn.xlarge for spot training job usage: 20, asked for 21"
    assert low.cure.startswith("Ask for a higher quota of that name")
    assert look(instance_type="ml.invented.large")["quota"].state == "failed"


def test_who_may_not_look_is_told_so_and_not_that_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: object) -> None:
        raise JsonRESTError("AccessDeniedException", "You are not authorized to perform servicequotas:List.")

    monkeypatch.setattr(ServiceQuotasResponse, "list_service_quotas", denied)
    check = look()["quota"]
    assert (check.state, "Let your user" in check.found) == ("unknown", True)


def test_subnets_without_a_way_to_a_service_are_named() -> None:
    network = Network.create()
    nothing = look(subnets=(network.subnet,), security_groups=(network.group,))["network"]
    assert nothing.found == f"{network.subnet} does not reach s3, ecr.api, ecr.dkr, logs, sts, sagemaker.api"
    network.add_internet_gateway()
    assert look(subnets=(network.subnet,))["network"].state == "failed"
    network.add_endpoints("s3", "ecr.api", "ecr.dkr", "logs", "sts", "sagemaker.api")
    assert look(subnets=(network.subnet,))["network"].state == "ok"
    key = client("kms").create_key()["KeyMetadata"]["Arn"]
    assert look(subnets=(network.subnet,), kms_key=key)["network"].found.endswith("does not reach kms")


def test_a_nat_gateway_reaches_every_service() -> None:
    network = Network.create()
    network.add_nat_gateway()
    assert look(subnets=(network.subnet,))["network"].state == "ok"
