"""Processing jobs: create, describe, stop. moto completes a job at once, without a container."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ResourceInUseException, ValidationError
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemaker.utils import arn_formatter

from chest_xray.emulator.jobs.processing_job import RUNNING, ProcessingJob
from chest_xray.emulator.jobs.processing_run import ProcessingRun
from chest_xray.emulator.operations.checks import check_bucket, hold_to_service_model, refuse
from chest_xray.emulator.operations.experiments import check_experiment
from chest_xray.emulator.runtime import OPT_ML, Images, Runtime


class ProcessingOperations:
    """The operations over every account's and region's jobs, and the threads that run them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._runs: list[ProcessingRun] = []
        self._lock = threading.Lock()

    def install(self) -> None:
        """Answer moto's requests about processing jobs from here."""
        operations = self

        def create_processing_job(self: SageMakerResponse) -> ActionResult:
            return operations.create(self)

        def describe_processing_job(self: SageMakerResponse) -> ActionResult:
            return ActionResult(_find(self).response_object)

        def stop_processing_job(self: SageMakerResponse) -> ActionResult:
            job = _find(self)
            if job.processing_job_status not in RUNNING:
                refuse(f"The request was rejected because the processing job is in status {job.processing_job_status}.")
            job.ask_to_stop()
            return EmptyResult()

        for operation in (create_processing_job, describe_processing_job, stop_processing_job):
            setattr(SageMakerResponse, operation.__name__, operation)

    def create(self, response: SageMakerResponse) -> ActionResult:
        """CreateProcessingJob: record the request, and run it."""
        request = json.loads(response.body)
        hold_to_service_model("CreateProcessingJob", request)
        _check(request, self._runtime.images, self._runtime.connect("s3", response.region), response.region)
        check_experiment(request, response.sagemaker_backend.experiments)
        name = request["ProcessingJobName"]
        jobs: dict[str, Any] = response.sagemaker_backend.processing_jobs
        arn = arn_formatter("processing-job", name.lower(), response.current_account, response.region)
        with self._lock:
            if name in jobs:
                raise ResourceInUseException(message=f"Job name must be unique. A job with this name exists ({arn})")
            job = jobs[name] = ProcessingJob(request, arn=arn)
            run = ProcessingRun(job, self._runtime, response.region)
            self._runs.append(run)
        run.start()
        return ActionResult({"ProcessingJobArn": arn})

    def close(self) -> None:
        """End every job's processes."""
        for run in self._runs:
            run.close()


def _find(response: SageMakerResponse) -> ProcessingJob:
    name = json.loads(response.body)["ProcessingJobName"]
    job: Any = response.sagemaker_backend.processing_jobs.get(name)
    if job is None:
        raise ValidationError(message=f"Could not find processing job {name}.")
    found: ProcessingJob = job
    return found


def _check(request: dict[str, Any], images: Images, storage: Any, region: str) -> None:
    """Refuse what AWS refuses beyond its service model, and what this emulator cannot run."""
    application = request["AppSpecification"]
    if "ContainerEntrypoint" not in application and not images.holds(application["ImageUri"]):
        refuse(f"Requested image {application['ImageUri']} not found.")
    inputs = request.get("ProcessingInputs", ())
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", ())
    for kind, described in (("ProcessingInputs", inputs), ("Outputs", outputs)):
        names = [one.get("InputName") or one["OutputName"] for one in described]
        if len(set(names)) != len(names):
            refuse(f"Duplicate names found in {kind}.")
    for given in inputs:
        source = given.get("S3Input")
        if source is None or source.get("S3InputMode", "File") != "File":
            refuse(f"Input {given['InputName']}: this emulator reads S3Input in File mode.")
        _check_place(source)
    for output in outputs:
        target = output.get("S3Output")
        if target is None or target["S3UploadMode"] != "EndOfJob":
            refuse(f"Output {output['OutputName']}: this emulator writes S3Output at EndOfJob.")
        _check_place(target)
        check_bucket(target["S3Uri"], storage, region, "processing job")


def _check_place(described: dict[str, Any]) -> None:
    if not Path(described.get("LocalPath", "")).is_relative_to(f"{OPT_ML}/processing"):
        refuse(f"LocalPath is {described.get('LocalPath')}: it must be below {OPT_ML}/processing.")
