"""What AWS refuses in a CreateTrainingJob beyond its service model, and what this emulator cannot run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chest_xray.emulator.operations.checks import check_bucket, refuse
from chest_xray.emulator.runtime import OPT_ML, Images


def check_training_request(request: dict[str, Any], images: Images, storage: Any, region: str) -> None:
    """Refuse what AWS refuses, in its words.

    Raises:
        ValidationError: one of the rules is broken.
    """
    _check_times(request)
    _check_channels(request)
    _check_instances(request)
    _check_image(request, images)
    _check_buckets(request, storage, region)
    _check_what_runs_here(request)


def _check_times(request: dict[str, Any]) -> None:
    limits = request.get("StoppingCondition", {})
    wait, runtime = limits.get("MaxWaitTimeInSeconds"), limits.get("MaxRuntimeInSeconds", 86_400)
    if request.get("EnableManagedSpotTraining"):
        if wait is None:
            refuse("MaxWaitTimeInSeconds must be specified when EnableManagedSpotTraining is true.")
        elif wait < runtime:
            refuse(
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
            )
    elif wait is not None:
        refuse("MaxWaitTimeInSeconds must not be specified when EnableManagedSpotTraining is false.")


def _check_channels(request: dict[str, Any]) -> None:
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", ())]
    if len(set(names)) != len(names):
        refuse("Duplicate channel names found in InputDataConfig.")


def _check_instances(request: dict[str, Any]) -> None:
    resources = request.get("ResourceConfig", {})
    if "InstanceType" not in resources:
        refuse("ResourceConfig must name an InstanceType: this emulator knows neither groups nor preferences.")
    if resources.get("InstanceCount", 1) < 1:
        refuse("InstanceCount must be at least 1.")
    if request.get("EnableManagedSpotTraining") and resources.get("KeepAlivePeriodInSeconds"):
        refuse("KeepAlivePeriodInSeconds is not supported with EnableManagedSpotTraining.")


def _check_image(request: dict[str, Any], images: Images) -> None:
    algorithm = request["AlgorithmSpecification"]
    image = algorithm.get("TrainingImage")
    if (image is None) == ("AlgorithmName" not in algorithm):
        refuse("AlgorithmSpecification must name either TrainingImage or AlgorithmName.")
    if image is None:
        refuse("This emulator runs TrainingImage, not AlgorithmName.")
    elif "ContainerEntrypoint" not in algorithm and not images.holds(image):
        refuse(f"Requested image {image} not found.")


def _check_buckets(request: dict[str, Any], storage: Any, region: str) -> None:
    places = [request["OutputDataConfig"]["S3OutputPath"]]
    if "CheckpointConfig" in request:
        places.append(request["CheckpointConfig"]["S3Uri"])
    for place in places:
        check_bucket(place, storage, region, "training job")


def _check_what_runs_here(request: dict[str, Any]) -> None:
    for channel in request.get("InputDataConfig", ()):
        name, source = channel["ChannelName"], channel["DataSource"].get("S3DataSource")
        mode = channel.get("InputMode", request["AlgorithmSpecification"]["TrainingInputMode"])
        if source is None or source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
            refuse(f"Channel {name}: this emulator reads S3DataSource with S3Prefix or ManifestFile.")
        if mode == "Pipe" or channel.get("CompressionType", "None") != "None":
            refuse(f"Channel {name}: this emulator has File and FastFile mode, without CompressionType.")
    place = request.get("CheckpointConfig", {}).get("LocalPath", OPT_ML)
    if not Path(place).is_relative_to(OPT_ML):
        refuse(f"CheckpointConfig.LocalPath is {place}: this emulator copies checkpoints below {OPT_ML}.")
    if request["OutputDataConfig"].get("CompressionType", "GZIP") != "GZIP":
        refuse("This emulator writes results with CompressionType GZIP.")
