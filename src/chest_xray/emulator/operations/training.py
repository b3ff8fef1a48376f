"""Training jobs: create, describe, stop, delete. moto completes a job at once and cannot stop one."""

from __future__ import annotations

import json
import threading
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ResourceInUseException, ValidationError
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemaker.utils import arn_formatter

from chest_xray.emulator.jobs.training_job import RUNNING, TrainingJob
from chest_xray.emulator.jobs.training_run import TrainingRun
from chest_xray.emulator.operations.checks import hold_to_service_model
from chest_xray.emulator.operations.experiments import check_experiment
from chest_xray.emulator.operations.training_checks import check_training_request
from chest_xray.emulator.runtime import Runtime


class TrainingOperations:
    """The operations over every account's and region's jobs, and the threads that run them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._runs: list[TrainingRun] = []
        self._lock = threading.Lock()

    def install(self) -> None:
        """Answer moto's requests about training jobs from here."""
        operations = self

        def create_training_job(self: SageMakerResponse) -> ActionResult:
            return operations.create(self)

        def describe_training_job(self: SageMakerResponse) -> ActionResult:
            return ActionResult(_find(self).response_object)

        def stop_training_job(self: SageMakerResponse) -> ActionResult:
            job = _find(self)
            if job.training_job_status not in RUNNING:
                raise ValidationError(
                    message=f"The request was rejected because the training job is in status {job.training_job_status}."
                )
            job.ask_to_stop()
            return EmptyResult()

        def delete_training_job(self: SageMakerResponse) -> ActionResult:
            job = _find(self)
            if job.training_job_status in RUNNING:
                raise ResourceInUseException(message=f"Training job {job.arn} is {job.training_job_status}.")
            del self.sagemaker_backend.training_jobs[job.training_job_name]
            return EmptyResult()

        for operation in (create_training_job, describe_training_job, stop_training_job, delete_training_job):
            setattr(SageMakerResponse, operation.__name__, operation)

    def create(self, response: SageMakerResponse) -> ActionResult:
        """CreateTrainingJob: record the request, and run it."""
        request = json.loads(response.body)
        hold_to_service_model("CreateTrainingJob", request)
        storage = self._runtime.connect("s3", response.region)
        check_training_request(request, self._runtime.images, storage, response.region)
        check_experiment(request, response.sagemaker_backend.experiments)
        name = request["TrainingJobName"]
        jobs: dict[str, Any] = response.sagemaker_backend.training_jobs
        arn = arn_formatter("training-job", name.lower(), response.current_account, response.region)
        with self._lock:
            if name in jobs:
                raise ResourceInUseException(
                    message="Training job names must be unique within an AWS account and region, and a training job "
                    f"with this name already exists ({arn})"
                )
            job = jobs[name] = TrainingJob(request, arn=arn, region=response.region)
            run = TrainingRun(job, self._runtime)
            self._runs.append(run)
        run.start()
        return ActionResult({"TrainingJobArn": arn})

    def reclaim(self, name: str) -> str | None:
        """Take the spot instances of a running job away; returns what was wrong, else None."""
        with self._lock:
            found = [run.job for run in self._runs if run.job.training_job_name == name]
        if not found:
            return f"There is no training job {name!r}."
        job = found[-1]
        if not job.spot:
            return f"{name} does not run on spot instances (EnableManagedSpotTraining)."
        if job.secondary_status != "Training":
            return f"{name} is {job.secondary_status}: only instances in Training can be reclaimed."
        job.reclaim.set()
        return None

    def close(self) -> None:
        """End every job's processes."""
        for run in self._runs:
            run.close()


def _find(response: SageMakerResponse) -> TrainingJob:
    name = json.loads(response.body)["TrainingJobName"]
    job: Any = response.sagemaker_backend.training_jobs.get(name)
    if job is None:
        raise ValidationError(message="Requested resource not found.")
    found: TrainingJob = job
    return found
