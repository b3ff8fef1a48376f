"""The request for a training job, from a run's configuration and the machine's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from chest_xray.backends.sagemaker.experiments import experiment_config
from chest_xray.backends.sagemaker.request_parts import needed, pairs, tags, vpc_config
from chest_xray.settings import DEFAULT_MODEL, SageMakerSettings
from chest_xray.training.config import TrainConfig
from chest_xray.training.container import CHANNEL, CONFIG_CHANNEL, INIT_CHANNEL

# What training prints at the end of an epoch; a test holds each expression to a real log.
METRICS: Final = {
    "train:loss": r"\btrain_loss=([0-9.]+)",
    "validation:loss": r"\bval_loss=([0-9.]+)",
    "validation:auroc": r"\bval_auroc=([0-9.]+)",
    "train:learning_rate": r"\blearning_rate=([0-9.e+-]+)",
    "train:epoch": r"^epoch=([0-9]+) ",
}
IMAGENET_CHANNEL: Final = "imagenet"
# What DescribeTrainingJob answers that another CreateTrainingJob may ask for.
_COPIED: Final = (
    "AlgorithmSpecification", "HyperParameters", "RoleArn", "InputDataConfig", "OutputDataConfig", "ResourceConfig",
    "VpcConfig", "StoppingCondition", "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining", "CheckpointConfig", "ExperimentConfig", "Environment", "RetryStrategy", "MlflowConfig",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Places:
    """Where a job's inputs and results lie in S3: prefixes without a slash at the end."""

    data: str
    config: str
    init: str | None
    imagenet: str | None
    checkpoints: str
    output: str


def training_request(
    name: str, config: TrainConfig, data_hash: str, places: Places, settings: SageMakerSettings
) -> dict[str, Any]:
    """A CreateTrainingJob.

    The configuration travels as a file; the hyperparameters repeat it for people, and for tuning jobs to change.
    The data's digest is part of the prefix and of the environment, so that other data are another request.

    Raises:
        SettingsError: role, image or bucket is not set.
    """
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": needed("image", settings.image),
            "TrainingInputMode": settings.input_mode,
            "MetricDefinitions": [{"Name": name, "Regex": regex} for name, regex in METRICS.items()],
        },
        "HyperParameters": {name: str(value) for name, value in config.model_dump().items()},
        "RoleArn": needed("role", settings.role),
        "InputDataConfig": _channels(places),
        "OutputDataConfig": {"S3OutputPath": places.output},
        "ResourceConfig": {
            "InstanceType": settings.instance_type,
            "InstanceCount": settings.instance_count,
            "VolumeSizeInGB": settings.volume_gb,
        },
        "StoppingCondition": _stopping_condition(settings),
        "EnableManagedSpotTraining": settings.use_spot,
        "CheckpointConfig": {"S3Uri": places.checkpoints},
        "Environment": {"CXR_DATA_HASH": data_hash} | pairs("environment", settings.environment),
        "ExperimentConfig": experiment_config(name),
        "Tags": tags(settings),
    }
    if settings.mlflow_arn is not None:
        request["MlflowConfig"] = _mlflow_config(name, settings.mlflow_arn)
        # What the container itself records goes there too: curves by epoch, artifacts, parameters.
        request["Environment"].setdefault("CXR_MLFLOW_TRACKING_URI", settings.mlflow_arn)
    if settings.kms_key is not None:
        request["OutputDataConfig"]["KmsKeyId"] = settings.kms_key
        request["ResourceConfig"]["VolumeKmsKeyId"] = settings.kms_key
    if (vpc := vpc_config(settings)) is not None:
        request["VpcConfig"] = vpc
    if places.imagenet is not None:
        file = places.imagenet.rsplit("/", 1)[-1]
        request["Environment"]["CXR_IMAGENET_WEIGHTS"] = f"/opt/ml/input/data/{IMAGENET_CHANNEL}/{file}"
    return request


def _mlflow_config(run: str, arn: str) -> dict[str, str]:
    return {"MlflowResourceArn": arn, "MlflowExperimentName": DEFAULT_MODEL, "MlflowRunName": run}


def _stopping_condition(settings: SageMakerSettings) -> dict[str, int]:
    stop = {"MaxRuntimeInSeconds": round(settings.max_hours * 3600)}
    if settings.use_spot or settings.max_wait_hours is not None:
        stop["MaxWaitTimeInSeconds"] = round((settings.max_wait_hours or 2 * settings.max_hours) * 3600)
    return stop


def resumed_request(name: str, job: dict[str, Any], *, on_demand: bool = False) -> dict[str, Any]:
    """The request that goes on for a job that DescribeTrainingJob showed, from the same checkpoints."""
    request = {member: job[member] for member in _COPIED if job.get(member)}
    resources = request["ResourceConfig"]
    request["ResourceConfig"] = {key: value for key, value in resources.items() if not key.startswith("Selected")}
    if on_demand:
        limits = request["StoppingCondition"]
        request["StoppingCondition"] = {key: value for key, value in limits.items() if key != "MaxWaitTimeInSeconds"}
        request.pop("EnableManagedSpotTraining", None)
    return {"TrainingJobName": name, **request}


def _channels(places: Places) -> list[dict[str, Any]]:
    named = {
        CHANNEL: places.data,
        CONFIG_CHANNEL: places.config,
        INIT_CHANNEL: places.init,
        IMAGENET_CHANNEL: places.imagenet,
    }
    return [
        {
            "ChannelName": name,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": uri,
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
        }
        for name, uri in named.items()
        if uri is not None
    ]
