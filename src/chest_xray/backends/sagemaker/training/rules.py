"""AWS's rules for a CreateTrainingJob, held before anything is asked of AWS or copied to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from chest_xray.backends.sagemaker.rules import (
    Request,
    buckets_have_legal_names,
    image_is_in_the_region,
    keys_are_in_the_region,
    refuse,
    service_model,
    tags_are_not_aws_own,
    vpc_has_subnets_and_groups,
)

LONGEST_SECONDS: Final = 28 * 86_400


def check_training_request(request: Request, region: str) -> None:
    """Hold a request to every rule.

    Raises:
        SettingsError: it breaks some; the message names the first three.
    """
    places = [channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in request.get("InputDataConfig", ())]
    places.append(request["OutputDataConfig"]["S3OutputPath"])
    if "CheckpointConfig" in request:
        places.append(request["CheckpointConfig"]["S3Uri"])
    keys = (
        request["OutputDataConfig"].get("KmsKeyId", ""),
        request.get("ResourceConfig", {}).get("VolumeKmsKeyId", ""),
    )
    refuse(
        [
            *service_model("CreateTrainingJob", request),
            *hyperparameters_are_strings(request),
            *wait_is_as_long_as_the_runtime(request),
            *runtime_is_at_most_28_days(request),
            *spot_has_checkpoints(request),
            *channels_have_names_of_their_own(request),
            *buckets_have_legal_names(places),
            *tags_are_not_aws_own(request),
            *vpc_has_subnets_and_groups(request.get("VpcConfig")),
            *metrics_have_one_group(request),
            *keys_are_in_the_region(keys, region),
            *image_is_in_the_region(request["AlgorithmSpecification"].get("TrainingImage", ""), region),
        ]
    )


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
