"""AWS's rules for a CreateTrainingJob, held before anything is asked of AWS or copied to it.

First the service model's own limits (`service_model.py`), then what AWS says only in prose. Each rule is a function
that yields what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from chest_xray.backends.sagemaker.ecr import read_image
from chest_xray.errors import SettingsError
from chest_xray.service_model import find_faults

LONGEST_SECONDS: Final = 28 * 86_400
_BUCKET: Final = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

Request = Mapping[str, Any]


def check_request(request: Request, region: str) -> None:
    """Hold a request to every rule.

    Raises:
        SettingsError: it breaks some; the message names the first three.
    """
    found = [
        problem
        for rule in (
            service_model,
            hyperparameters_are_strings,
            wait_is_as_long_as_the_runtime,
            runtime_is_at_most_28_days,
            spot_has_checkpoints,
            channels_have_names_of_their_own,
            buckets_have_legal_names,
            tags_are_not_aws_own,
            vpc_has_subnets_and_groups,
            metrics_have_one_group,
        )
        for problem in rule(request)
    ]
    found += [*key_is_in_the_region(request, region), *image_is_in_the_region(request, region)]
    if found:
        more = f" And {len(found) - 3} more." if len(found) > 3 else ""
        raise SettingsError(" ".join(found[:3]) + more)


def service_model(request: Request) -> Iterator[str]:
    """Maxima, patterns, enumerations and lengths of the service model; then types and required members."""
    from botocore.validate import ParamValidator

    shape = _shape()
    for fault in find_faults(shape, request):
        yield str(fault)
    report = ParamValidator().validate(dict(request), shape)
    if report.has_errors():
        yield " ".join(report.generate_report().split()) + "."


@cache
def _shape() -> Any:
    from botocore.session import get_session

    return get_session().get_service_model("sagemaker").operation_model("CreateTrainingJob").input_shape


def hyperparameters_are_strings(request: Request) -> Iterator[str]:
    """AWS takes no numbers."""
    for name, value in request.get("HyperParameters", {}).items():
        if not isinstance(value, str):
            yield f"Hyperparameter {name} is {value!r}; AWS takes strings only."


def wait_is_as_long_as_the_runtime(request: Request) -> Iterator[str]:
    """On spot instances the wait includes the runtime; elsewhere there is none."""
    limits = request.get("StoppingCondition", {})
    wait, runtime = limits.get("MaxWaitTimeInSeconds"), limits.get("MaxRuntimeInSeconds", 86_400)
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:
            yield "--max-wait-hours is for spot instances: add --use-spot, or leave it out."
    elif wait is None or wait < runtime:
        yield (
            f"The wait for spot instances is {wait} s and the runtime {runtime} s: --max-wait-hours includes the "
            "training, so it must be at least --max-hours."
        )


def runtime_is_at_most_28_days(request: Request) -> Iterator[str]:
    """AWS's longest training job."""
    runtime = request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 0)
    if runtime > LONGEST_SECONDS:
        yield f"The runtime is {runtime} s; AWS takes at most {LONGEST_SECONDS} (28 days). Lower --max-hours."


def spot_has_checkpoints(request: Request) -> Iterator[str]:
    """AWS would take it, and lose the work with the instance."""
    if request.get("EnableManagedSpotTraining") and "CheckpointConfig" not in request:
        yield "A job on spot instances needs a CheckpointConfig, or an interruption loses all its work."


def channels_have_names_of_their_own(request: Request) -> Iterator[str]:
    """Two channels cannot share a folder."""
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", ())]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"Two channels are called {name}; each needs a name of its own."


def buckets_have_legal_names(request: Request) -> Iterator[str]:
    """S3's rule, which SageMaker's pattern does not have."""
    places = [channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in request.get("InputDataConfig", ())]
    places.append(request["OutputDataConfig"]["S3OutputPath"])
    if "CheckpointConfig" in request:
        places.append(request["CheckpointConfig"]["S3Uri"])
    for bucket in sorted({urlsplit(place).netloc for place in places}):
        if not _BUCKET.fullmatch(bucket):
            yield (
                f"{bucket!r} is no name of an S3 bucket: 3 to 63 small letters, digits, dots and hyphens. "
                "Give the name alone, without s3://."
            )


def tags_are_not_aws_own(request: Request) -> Iterator[str]:
    """Each key once, and none that AWS keeps for itself."""
    keys = [tag["Key"] for tag in request.get("Tags", ())]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"The tag {key} is given twice."
    for key in keys:
        if key.lower().startswith("aws:"):
            yield f"The tag {key} begins with aws:, which AWS keeps for itself."


def vpc_has_subnets_and_groups(request: Request) -> Iterator[str]:
    """Neither works without the other."""
    vpc = request.get("VpcConfig")
    if vpc is not None and not (vpc.get("Subnets") and vpc.get("SecurityGroupIds")):
        yield "A VPC needs --subnets and --security-groups, both."


def metrics_have_one_group(request: Request) -> Iterator[str]:
    """A metric is the number that the first group of its expression finds."""
    for metric in request["AlgorithmSpecification"].get("MetricDefinitions", ()):
        try:
            groups = re.compile(metric["Regex"]).groups
        except re.error as error:
            yield f"The expression of metric {metric['Name']} cannot be read: {error}."
        else:
            if groups != 1:
                yield f"The expression of metric {metric['Name']} has {groups} groups; one is expected, the number."


def key_is_in_the_region(request: Request, region: str) -> Iterator[str]:
    """A key's ARN names its region; a job uses keys of its own only."""
    keys = {
        request["OutputDataConfig"].get("KmsKeyId", ""),
        request.get("ResourceConfig", {}).get("VolumeKmsKeyId", ""),
    }
    for key in sorted(keys):
        parts = key.split(":")
        if len(parts) > 3 and parts[3] != region:
            yield f"The KMS key {key} is in {parts[3]}, and the job in {region}: name a key of {region}."


def image_is_in_the_region(request: Request, region: str) -> Iterator[str]:
    """Training images come from ECR in the job's region."""
    name = request["AlgorithmSpecification"].get("TrainingImage", "")
    image = read_image(name)
    if image is None:
        yield f"The image is {name!r}; expected one in ECR: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG."
    elif image.region != region:
        yield f"The image {name} is in {image.region}, and the job in {region}: push it to ECR in {region}."
