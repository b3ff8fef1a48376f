"""`cxr train` on SageMaker: check, upload, create, follow, fetch; and a job attached to, stopped or gone on with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chest_xray.backends.sagemaker.aws import PATIENT, Aws
from chest_xray.backends.sagemaker.causes import describe_failure
from chest_xray.backends.sagemaker.doctor.network import require_network
from chest_xray.backends.sagemaker.experiments import experiment_request, make_experiment
from chest_xray.backends.sagemaker.follow import ENDED, TRAINING, follow
from chest_xray.backends.sagemaker.names import check_job_name, generate_job_name, next_name
from chest_xray.backends.sagemaker.request_parts import needed
from chest_xray.backends.sagemaker.store import Store
from chest_xray.backends.sagemaker.training.ledger import JobEntry, Ledger
from chest_xray.backends.sagemaker.training.request import resumed_request, training_request
from chest_xray.backends.sagemaker.training.results import bill, fetch_run
from chest_xray.backends.sagemaker.training.rules import check_training_request
from chest_xray.backends.sagemaker.training.uploads import Inputs
from chest_xray.console import say
from chest_xray.errors import CloudError, JobStoppedError, SettingsError, TrainingError
from chest_xray.training.run import RunFolder

if TYPE_CHECKING:
    from chest_xray.locations import Location
    from chest_xray.settings import SageMakerSettings, Settings
    from chest_xray.training.config import TrainConfig


class TrainingJobs:
    """Training jobs of one account and region."""

    def __init__(self, settings: Settings, sagemaker: SageMakerSettings, aws: Aws | None = None) -> None:
        self._settings, self._sagemaker = settings, sagemaker
        self._aws = aws or Aws(sagemaker.region)
        self._ledger = Ledger(settings.home_dir / "training-jobs")

    def train(self, data: Location, run: Path, config: TrainConfig) -> Path:
        """Train on a shard folder or prefix as a job, or go on with the job of this run folder; returns `run`.

        Raises:
            SettingsError: a setting is missing, or the request breaks one of AWS's rules: nothing was asked of AWS.
            CloudError: AWS refused.
            TrainingError: the job failed, or the folder holds another run.
            JobStoppedError: the job was stopped.
        """
        inputs = Inputs.read(data, config, self._settings, self._store(""))
        folder = RunFolder(run)
        if (record := folder.finished()) is not None:
            _check_same(folder, record.config, record.data_hash, inputs)
            say(f"{run} is trained already with these data and settings: nothing to do.")
            return run
        if (entry := self._ledger.of_run(run)) is not None:
            _check_same(folder, entry.config, entry.data_hash, inputs)
            if self._status(entry.name) in ("InProgress", "Stopping", "Completed"):
                return self._finish(entry)
        return self._finish(self._create(inputs, run))

    def attach(self, name: str, run: Path | None) -> Path:
        """Follow a job to its end and fetch its results; returns the run folder.

        Raises:
            SettingsError: the job is of another machine, and no folder is given.
        """
        return self._finish(self._entry(name, run))

    def stop(self, name: str) -> str:
        """Ask a job to stop; returns its status. It has 120 s to save a checkpoint."""
        status = str(self._describe(name)["TrainingJobStatus"])
        if status in ENDED:
            return status
        self._aws.call("sagemaker", "stop_training_job", TrainingJobName=name)
        return "Stopping"

    def resume(self, name: str, run: Path | None, *, on_demand: bool = False) -> Path:
        """Create a job that goes on from a stopped or failed one's checkpoints, and follow it.

        With `on_demand` it is not on spot instances, whatever the other was on.

        Raises:
            TrainingError: it is not stopped.
        """
        job = self._describe(name)
        if job["TrainingJobStatus"] not in ("Stopped", "Failed"):
            raise TrainingError(
                f"Training job {name} is {job['TrainingJobStatus']}: only a stopped or failed job is gone on with."
            )
        entry = self._entry(name, run)
        request = resumed_request(next_name(name), job, on_demand=on_demand)
        check_training_request(request, self._aws.region)
        return self._finish(self._submit(request, entry.run, entry.config, entry.data_hash))

    def plan(self, data: Location, run: Path, config: TrainConfig) -> list[dict[str, Any]]:
        """What `train` would ask of AWS, held to the same rules, with nothing asked: uploads, and the job's request.

        Of data in S3 `dataset.json` is read.

        A drawn name has another end at each call.

        Raises:
            DataError, SettingsError: what `train` would refuse before its first call.
        """
        inputs = Inputs.read(data, config, self._settings, self._store(""))
        store, request = self._prepare(inputs, run)
        return [
            *inputs.plan(store),
            {"service": "sagemaker", "operation": "CreateExperiment", "request": experiment_request()},
            {"service": "sagemaker", "operation": "CreateTrainingJob", "request": request},
        ]

    def _create(self, inputs: Inputs, run: Path) -> JobEntry:
        store, request = self._prepare(inputs, run)
        store.check_bucket()
        require_network(self._aws, self._sagemaker)
        inputs.upload(store)
        make_experiment(self._aws)
        return self._submit(request, run, inputs.config, inputs.data_hash)

    def _prepare(self, inputs: Inputs, run: Path) -> tuple[Store, dict[str, Any]]:
        """The job's request, held to every rule before anything is copied."""
        settings = self._sagemaker
        if settings.instance_count > 1:
            raise SettingsError(
                f"--instance-count is {settings.instance_count}: training uses one instance. Take a larger type."
            )
        bucket = needed("bucket", settings.bucket)
        if (name := settings.job_name) is not None:
            check_job_name(name)
        else:
            content = json.dumps([inputs.data_hash, inputs.config.model_dump(), settings.image], sort_keys=True)
            name = generate_job_name(run.name, hashlib.sha256(content.encode()).hexdigest())
        store = self._store(bucket)
        request = training_request(name, inputs.config, inputs.data_hash, inputs.places(store, name), settings)
        check_training_request(request, self._aws.region)
        return store, request

    def _submit(self, request: dict[str, Any], run: Path, config: TrainConfig, data_hash: str) -> JobEntry:
        name = request["TrainingJobName"]
        entry = JobEntry(name=name, region=self._aws.region, run=run.resolve(), data_hash=data_hash, config=config)
        # Kept first: a kill in between leaves an entry without a job, and not a job that nobody knows.
        self._ledger.add(entry)
        try:
            self._aws.call("sagemaker", "create_training_job", **request)
        except CloudError as error:
            # Where the answer to a first try was lost, the second finds the first one's job.
            if "ResourceInUse" not in str(error) or self._sagemaker.job_name is not None:
                self._ledger.remove(entry)
                raise
        spot = "spot instances" if request.get("EnableManagedSpotTraining") else "an instance"
        say(f"Training job {name} on {spot} of {request['ResourceConfig']['InstanceType']}, {self._aws.region}.")
        return entry

    def _finish(self, entry: JobEntry) -> Path:
        name = entry.name
        self._aws.patience = PATIENT
        try:
            job, lines = follow(self._aws, TRAINING, name, poll_seconds=self._sagemaker.poll_seconds)
        except KeyboardInterrupt:
            say(f"The job goes on without you. To follow it again: cxr train attach {name}")
            say(f"To stop it: cxr train stop {name}")
            raise
        except CloudError as error:
            raise CloudError(f"{error} The job may go on: cxr train attach {name}") from error
        say(f"{name}: {bill(job, self._sagemaker.usd_per_hour)}")
        match job["TrainingJobStatus"]:
            case "Failed":
                raise TrainingError(describe_failure(f"{TRAINING.noun} {name}", job.get("FailureReason", ""), lines))
            case "Stopped":
                raise JobStoppedError(
                    f"Training job {name} is not finished: {_why_stopped(job)}. There is no model; cxr train resume "
                    f"{name} goes on from its last checkpoint."
                )
        return self._fetch(job, entry)

    def _fetch(self, job: dict[str, Any], entry: JobEntry) -> Path:
        folder = RunFolder(entry.run)
        with folder.alone():
            fetch_run(self._store(""), job, entry.run)
        record = folder.record()
        if record.data_hash != entry.data_hash:
            raise TrainingError(
                f"Training job {entry.name} trained on data {record.data_hash[:12]}, not on {entry.data_hash[:12]}."
            )
        metrics = {item["MetricName"]: item["Value"] for item in job.get("FinalMetricDataList", ())}
        for name, value in sorted(metrics.items()):
            say(f"{name} = {value:.6g}")
        say(f"Best epoch {record.best_epoch}: {folder.weights}")
        return entry.run

    def _entry(self, name: str, run: Path | None) -> JobEntry:
        """The ledger's, or for a job of another machine one made from what the job itself says."""
        if (entry := self._ledger.find(name)) is not None:
            return entry if run is None else entry.model_copy(update={"run": run.resolve()})
        if run is None:
            raise SettingsError(
                f"{name} was not started from this machine's CXR_HOME: say with --output where its run belongs."
            )
        job = self._describe(name)
        from chest_xray.training.config import TrainConfig

        config = TrainConfig.from_hyperparameters(job.get("HyperParameters", {}))
        data_hash = job.get("Environment", {}).get("CXR_DATA_HASH", "")
        return JobEntry(name=name, region=self._aws.region, run=run.resolve(), data_hash=data_hash, config=config)

    def _status(self, name: str) -> str | None:
        """None for a job that was never created."""
        try:
            return str(self._describe(name)["TrainingJobStatus"])
        except CloudError as error:
            if "not found" in str(error):
                return None
            raise

    def _describe(self, name: str) -> dict[str, Any]:
        check_job_name(name)
        job: dict[str, Any] = self._aws.call("sagemaker", "describe_training_job", TrainingJobName=name)
        return job

    def _store(self, bucket: str) -> Store:
        return Store(self._aws, bucket, self._sagemaker.prefix, self._sagemaker.kms_key)


def _check_same(folder: RunFolder, config: TrainConfig, data_hash: str, mine: Inputs) -> None:
    theirs, wanted = config.model_dump(), mine.config.model_dump()
    different = next((name for name in wanted if theirs[name] != wanted[name]), None)
    if data_hash != mine.data_hash:
        said = f"was trained on data {data_hash[:12]}, these are {mine.data_hash[:12]}"
    elif different is not None:
        said = f"was started with {different}={theirs[different]}, this is {wanted[different]}"
    else:
        return
    raise TrainingError(f"{folder.root} {said}. Use another --output, or delete it.")


def _why_stopped(job: dict[str, Any]) -> str:
    limits = job.get("StoppingCondition", {})
    match job.get("SecondaryStatus"):
        case "MaxRuntimeExceeded":
            return f"it reached --max-hours ({limits.get('MaxRuntimeInSeconds')} s)"
        case "MaxWaitTimeExceeded":
            return (
                f"it reached --max-wait-hours ({limits.get('MaxWaitTimeInSeconds')} s) without enough spot instances, "
                "which `resume --on-demand` does not need"
            )
        case _:
            return "it was stopped"
