"""One emulator for a test process, plain AWS clients of it, and requests for small training jobs."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.support.processes import environment

from chest_xray.emulator.account import ACCOUNT, ROLE
from chest_xray.emulator.runtime import Images, Pace
from chest_xray.emulator.server import Emulator

# Images whose entry is a shell script: what a container does when it is not ours.
FAILS = "for n in $(seq 30); do echo line $n; done; echo \"ModuleNotFoundError: No module named 'cv2'\"; exit 1"
IMAGES = Images({"echo": ("echo",), "sleeps": ("sh", "-c", "echo ready; sleep 600"), "fails": ("sh", "-c", FAILS)})
ENDED = ("Completed", "Failed", "Stopped")
QUICK = Pace(tick=0.02, sync=0.05, grace=1.0, restart=0.1)


@cache
def shared_emulator() -> Emulator:
    """moto's state belongs to the process, so there is one, until the process ends."""
    emulator = Emulator(images=IMAGES, pace=QUICK)
    emulator.__enter__()
    atexit.register(emulator.__exit__, None, None, None)
    return emulator


def aws_environment(patch: pytest.MonkeyPatch) -> None:
    """Set the two variables, and nothing else of AWS's."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        patch.delenv(name, raising=False)
    for name, value in shared_emulator().environment().items():
        patch.setenv(name, value)


@cache
def client(service: str, **options: str) -> Any:
    """An AWS client as any program makes it: nothing but the two variables tells it of the emulator."""
    with pytest.MonkeyPatch.context() as patch:
        aws_environment(patch)
        return boto3.session.Session().client(service, **options)


def shell_job(name: str, script: str, **members: Any) -> dict[str, Any]:
    """A CreateTrainingJob whose container runs a shell script."""
    bucket = shared_emulator().bucket
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/shell:1",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["sh", "-c", script],
        },
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out"},
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **members,
    }


def spot(name: str) -> dict[str, Any]:
    """The members of a job on spot instances, with a checkpoint prefix of its own."""
    return {
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": f"s3://{shared_emulator().bucket}/checkpoints/{name}"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
    }


def wait_until(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true value that `true` returns."""
    until = time.monotonic() + seconds
    while not (found := true()):
        if time.monotonic() > until:
            pytest.fail(f"waited {seconds:.0f} s in vain")
        time.sleep(0.05)
    return found


def ended(sagemaker: Any, name: str) -> dict[str, Any]:
    """DescribeTrainingJob of a job in its last state."""

    def found() -> dict[str, Any] | None:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        return job if job["TrainingJobStatus"] in ENDED else None

    return wait_until(found)


def ended_processing(sagemaker: Any, name: str) -> dict[str, Any]:
    """DescribeProcessingJob of a job in its last state."""

    def found() -> dict[str, Any] | None:
        job = sagemaker.describe_processing_job(ProcessingJobName=name)
        return job if job["ProcessingJobStatus"] in ENDED else None

    return wait_until(found)


def states(job: dict[str, Any]) -> list[str]:
    return [transition["Status"] for transition in job["SecondaryStatusTransitions"]]


def log_lines(logs: Any, name: str, kind: str = "TrainingJobs") -> list[str]:
    """All that a job's containers printed, a stream after the other."""
    group = f"/aws/sagemaker/{kind}"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
    return [
        event["message"]
        for stream in streams
        for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)[
            "events"
        ]
    ]


def variables(home: Path, image: str = "chest-xray") -> dict[str, str]:
    """The environment of a user of the emulator; containers get one thread, as the test's own training has."""
    emulator = shared_emulator()
    return (
        environment()
        | emulator.environment()
        | {
            "CXR_HOME": str(home),
            "CXR_SAGEMAKER_ROLE": ROLE,
            "CXR_SAGEMAKER_IMAGE": f"{ACCOUNT}.dkr.ecr.{emulator.region}.amazonaws.com/{image}:train",
            "CXR_SAGEMAKER_BUCKET": emulator.bucket,
            "CXR_SAGEMAKER_POLL_SECONDS": "0.1",
            "CXR_SAGEMAKER_ENVIRONMENT": "OMP_NUM_THREADS=1",
            "OMP_NUM_THREADS": "1",
        }
    )
