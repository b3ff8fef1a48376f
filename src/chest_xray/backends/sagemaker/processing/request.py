"""The requests for the jobs that prepare films."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from chest_xray.backends.sagemaker.experiments import experiment_config
from chest_xray.backends.sagemaker.request_parts import needed, pairs, tags, vpc_config
from chest_xray.backends.sagemaker.rules import (
    buckets_have_legal_names,
    image_is_in_the_region,
    keys_are_in_the_region,
    refuse,
    service_model,
    tags_are_not_aws_own,
    vpc_has_subnets_and_groups,
)
from chest_xray.data.prepare.container import Step
from chest_xray.settings import ProcessingSettings

_ROOT: Final = "/opt/ml/processing"
_MOST_SECONDS: Final = 777_600


@dataclass(frozen=True, slots=True)
class Given:
    """An input: its folder's name, where it lies, and whether it is listed there and dealt out over the hosts."""

    name: str
    uri: str
    kind: Literal["S3Prefix", "ManifestFile"] = "S3Prefix"
    shared_out: bool = False


@dataclass(frozen=True, slots=True)
class Preparation:
    """What both jobs of a preparation are made with."""

    source_digest: str
    image_size: int
    validation_fraction: float
    shard_bytes: int


def processing_request(
    name: str, step: Step, inputs: list[Given], output: str, work: Preparation, settings: ProcessingSettings
) -> dict[str, Any]:
    """A CreateProcessingJob of one step. Parts are put together on one instance.

    The source's digest is part of the environment, so that other films under the same prefix are another request.

    Raises:
        SettingsError: role or image is not set.
    """
    cluster: dict[str, Any] = {
        "InstanceType": settings.instance_type,
        "InstanceCount": settings.instance_count if step == "decode" else 1,
        "VolumeSizeInGB": settings.volume_gb,
    }
    outputs: dict[str, Any] = {
        "Outputs": [
            {
                "OutputName": "prepared",
                "S3Output": {"S3Uri": output, "LocalPath": f"{_ROOT}/output", "S3UploadMode": "EndOfJob"},
            }
        ]
    }
    if settings.kms_key is not None:
        cluster["VolumeKmsKeyId"] = outputs["KmsKeyId"] = settings.kms_key
    options = {
        "--image-size": work.image_size,
        "--validation-fraction": work.validation_fraction,
        "--shard-bytes": work.shard_bytes,
    }
    arguments = [str(word) for option in options.items() for word in option]
    request: dict[str, Any] = {
        "ProcessingJobName": name,
        "RoleArn": needed("role", settings.role),
        "AppSpecification": {
            "ImageUri": needed("image", settings.image),
            "ContainerArguments": ["prepare-data", step, *arguments],
        },
        "ProcessingInputs": [_input(given) for given in inputs],
        "ProcessingOutputConfig": outputs,
        "ProcessingResources": {"ClusterConfig": cluster},
        "StoppingCondition": {"MaxRuntimeInSeconds": min(round(settings.max_hours * 3600), _MOST_SECONDS)},
        "Environment": {"CXR_SOURCE_SHA256": work.source_digest} | pairs("environment", settings.environment),
        "ExperimentConfig": experiment_config(name),
        "Tags": tags(settings),
    }
    if (vpc := vpc_config(settings)) is not None:
        request["NetworkConfig"] = {"VpcConfig": vpc}
    return request


def _input(given: Given) -> dict[str, Any]:
    return {
        "InputName": given.name,
        "S3Input": {
            "S3Uri": given.uri,
            "LocalPath": f"{_ROOT}/input/{given.name}",
            "S3DataType": given.kind,
            "S3InputMode": "File",
            "S3DataDistributionType": "ShardedByS3Key" if given.shared_out else "FullyReplicated",
        },
    }


def check_processing_request(request: dict[str, Any], region: str) -> None:
    """Hold a request to AWS's rules before anything is asked of AWS or copied to it.

    Raises:
        SettingsError: it breaks some; the message names the first three.
    """
    output = request["ProcessingOutputConfig"]
    places = [given["S3Input"]["S3Uri"] for given in request["ProcessingInputs"]]
    places += [one["S3Output"]["S3Uri"] for one in output["Outputs"]]
    refuse(
        [
            *service_model("CreateProcessingJob", request),
            *buckets_have_legal_names(places),
            *tags_are_not_aws_own(request),
            *vpc_has_subnets_and_groups(request.get("NetworkConfig", {}).get("VpcConfig")),
            *keys_are_in_the_region([output.get("KmsKeyId", "")], region),
            *image_is_in_the_region(request["AppSpecification"]["ImageUri"], region),
        ]
    )
