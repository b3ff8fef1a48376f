"""AWS's rules, held before any call: a legal request passes, and each rule refuses what breaks it."""

import re
from typing import Any

import pytest

from chest_xray.backends.sagemaker.names import LONGEST, check_job_name, generate_job_name, legal, next_name
from chest_xray.backends.sagemaker.training.request import Places, resumed_request, training_request
from chest_xray.backends.sagemaker.training.rules import check_training_request
from chest_xray.errors import SettingsError
from chest_xray.settings import load_sagemaker_settings
from chest_xray.training.config import TrainConfig

PLACES = Places(
    data="s3://films/data/0f3a",
    config="s3://films/config/0f3a",
    init=None,
    imagenet=None,
    checkpoints="s3://films/checkpoints/first",
    output="s3://films/jobs",
)
LEGAL = {
    "role": "arn:aws:iam::123456789012:role/training",
    "image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/chest-xray:train",
    "use_spot": True,
}


def request(**options: Any) -> dict[str, Any]:
    return training_request("first", TrainConfig(), "0f3a", PLACES, load_sagemaker_settings(LEGAL | options))


def refused(broken: dict[str, Any], region: str = "eu-west-1") -> str:
    with pytest.raises(SettingsError) as caught:
        check_training_request(broken, region)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_request_with_everything_is_legal() -> None:
    check_training_request(
        request(
            kms_key="arn:aws:kms:eu-west-1:123456789012:key/0f3a",
            subnets="subnet-1,subnet-2",
            security_groups="sg-1",
            tags="team=radiology,cost=0815",
            environment="NCCL_DEBUG=INFO",
            input_mode="FastFile",
        ),
        "eu-west-1",
    )


def test_the_configuration_is_repeated_as_strings() -> None:
    found = request()["HyperParameters"]
    assert found["epochs"] == "20"
    assert TrainConfig.from_hyperparameters(found) == TrainConfig()


def test_the_wait_for_spot_instances_is_twice_the_runtime_unless_it_is_said() -> None:
    assert request()["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400, "MaxWaitTimeInSeconds": 172_800}
    assert request(max_hours="2", max_wait_hours="3")["StoppingCondition"]["MaxWaitTimeInSeconds"] == 10_800
    assert request(use_spot=False)["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}


def test_a_resumed_job_is_the_same_request_or_the_same_without_spot_instances() -> None:
    described = request() | {"TrainingJobStatus": "Stopped", "TrainingJobArn": "arn", "SecondaryStatus": "Stopped"}
    described["ResourceConfig"] = described["ResourceConfig"] | {"SelectedInstanceType": "ml.g4dn.xlarge"}
    again = resumed_request("first-r2", described)
    assert again == {name: value for name, value in request().items() if name != "Tags"} | {
        "TrainingJobName": "first-r2"
    }
    check_training_request(again, "eu-west-1")
    on_demand = resumed_request("first-r2", described, on_demand=True)
    check_training_request(on_demand, "eu-west-1")
    assert on_demand["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}
    assert on_demand["CheckpointConfig"] == again["CheckpointConfig"]


def _metrics(*expressions: str) -> dict[str, Any]:
    broken = request()
    broken["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": f"m{n}", "Regex": text} for n, text in enumerate(expressions)
    ]
    return broken


def _channels(*names: str) -> dict[str, Any]:
    broken = request()
    channel = broken["InputDataConfig"][0]
    return broken | {"InputDataConfig": [channel | {"ChannelName": name} for name in names]}


BROKEN = {
    "a name of 64 characters": (lambda: request() | {"TrainingJobName": "x" * 64}, "has 64 characters"),
    "a value of 2501 characters": (lambda: request() | {"HyperParameters": {"a": "1" * 2501}}, "at most 2500"),
    "101 hyperparameters": (lambda: request() | {"HyperParameters": {f"h{n}": "" for n in range(101)}}, "at most 100"),
    "41 metrics": (lambda: _metrics(*["x(.)"] * 41), "has 41 entries; AWS takes at most 40"),
    "a metric of 501 characters": (lambda: _metrics("(x)" + "y" * 498), "has 501 characters"),
    "51 tags": (lambda: request(tags=",".join(f"k{n}=v" for n in range(51))), "has 51 entries"),
    "a tag of 257 characters": (lambda: request(tags="a=" + "b" * 257), "has 257 characters"),
    "a variable of 513 characters": (lambda: request(environment="A=" + "b" * 513), "has 513 characters"),
    "101 variables": (lambda: request(environment=",".join(f"V{n}=" for n in range(101))), "has 102 entries"),
    "21 channels": (lambda: _channels(*(f"c{n}" for n in range(21))), "has 21 entries; AWS takes at most 20"),
    "an invented instance": (lambda: request(instance_type="ml.g9.xlarge"), "InstanceType is 'ml.g9.xlarge'"),
    "a role that is none": (lambda: request(role="training"), "RoleArn is 'training'"),
    "6 security groups": (
        lambda: request(subnets="s-1", security_groups=",".join(f"sg-{n}" for n in range(6))),
        "has 6 entries",
    ),
    "an unknown member": (lambda: request() | {"Instances": 1}, "Unknown parameter in input"),
    "a number as a hyperparameter": (lambda: request() | {"HyperParameters": {"epochs": 3}}, "epochs is 3; AWS takes"),
    "a wait below the runtime": (lambda: request(max_hours="2", max_wait_hours="1"), "must be at least --max-hours"),
    "a wait without spot": (lambda: request(use_spot=False, max_wait_hours="30"), "add --use-spot, or leave it out"),
    "29 days": (lambda: request() | {"StoppingCondition": {"MaxRuntimeInSeconds": 29 * 86_400}}, "at most 2419200"),
    "spot without checkpoints": (
        lambda: {name: value for name, value in request().items() if name != "CheckpointConfig"},
        "needs a CheckpointConfig",
    ),
    "two channels of a name": (lambda: _channels("shards", "shards"), "Two channels are called shards"),
    "a bucket with its scheme": (
        lambda: request() | {"OutputDataConfig": {"S3OutputPath": "s3://S3:/films"}},
        "is no name of an S3 bucket",
    ),
    "a tag twice": (lambda: request() | {"Tags": [{"Key": "a", "Value": "1"}] * 2}, "tag a is given twice"),
    "a tag of AWS's own": (lambda: request(tags="aws:team=x"), "begins with aws:"),
    "subnets alone": (lambda: request(subnets="subnet-1"), "--subnets and --security-groups, both"),
    "a metric without a group": (lambda: _metrics("loss"), "has 0 groups; one is expected"),
    "a metric that is none": (lambda: _metrics("(loss"), "cannot be read"),
    "a key elsewhere": (
        lambda: request(kms_key="arn:aws:kms:us-east-1:123456789012:key/0f3a"),
        "is in us-east-1, and the job in eu-west-1",
    ),
    "an image elsewhere": (
        lambda: request(image="123456789012.dkr.ecr.us-east-1.amazonaws.com/chest-xray:train"),
        "push it to ECR in eu-west-1",
    ),
    "an image that is not in ECR": (lambda: request(image="chest-xray"), "expected one in ECR"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_each_rule_refuses_what_breaks_it(what: str) -> None:
    make, said = BROKEN[what]
    assert said in refused(make())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"role": None}, "needs --role or CXR_SAGEMAKER_ROLE"),
        ({"tags": "radiology"}, "--tags holds 'radiology'; expected NAME=VALUE"),
        ({"instance_count": "0"}, "--instance-count is '0'"),
        ({"input_mode": "Pipe"}, "--input-mode is 'Pipe'"),
        ({"max_hours": "673"}, "--max-hours is '673'"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        request(**options)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("my_run", "my-run"), ("-x-", "x"), ("a" * 70, "a" * 63), ("Röntgen 2", "R-ntgen-2"), ("__", "job")],
)
def test_an_illegal_name_is_refused_with_a_legal_one(name: str, suggestion: str) -> None:
    with pytest.raises(SettingsError, match=rf"Take {re.escape(suggestion)} instead"):
        check_job_name(name)
    assert check_job_name(legal(name)) == suggestion


def test_generated_names_are_legal_and_never_the_same() -> None:
    names = {check_job_name(generate_job_name("lungs_" * 20, "0f3a91bc" * 8)) for _ in range(50)}
    assert len(names) == 50
    assert all(len(name) <= LONGEST and "0f3a91bc" in name for name in names)
    assert [next_name("first"), next_name("first-r2"), next_name("first-r9")] == ["first-r2", "first-r3", "first-r10"]
    assert len(check_job_name(next_name("x" * 63))) == 63
