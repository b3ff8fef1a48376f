"""`cxr prepare-data` on SageMaker: check the source, decode it on N instances, put the shards together on one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chest_xray.backends.sagemaker.aws import PATIENT, Aws
from chest_xray.backends.sagemaker.causes import describe_failure
from chest_xray.backends.sagemaker.doctor.network import require_network
from chest_xray.backends.sagemaker.experiments import experiment_request, make_experiment
from chest_xray.backends.sagemaker.follow import ENDED, PROCESSING, follow
from chest_xray.backends.sagemaker.names import LONGEST, legal
from chest_xray.backends.sagemaker.processing.request import (
    Given,
    Preparation,
    check_processing_request,
    processing_request,
)
from chest_xray.backends.sagemaker.processing.source import Source, copy_source
from chest_xray.backends.sagemaker.request_parts import needed
from chest_xray.backends.sagemaker.store import Store
from chest_xray.console import say
from chest_xray.data.prepare.container import FILMS, LISTING, LISTING_FOLDER, PARTS, TABLES, Step
from chest_xray.data.prepare.pack_source import PackSettings
from chest_xray.data.prepare.prepare import (
    CLAIM_FILE,
    SHARD_BYTES,
    check_options,
    claim_differences,
    make_claim,
    report_of,
)
from chest_xray.data.shards import DATASET_FILE
from chest_xray.errors import CloudError, DataError, JobStoppedError
from chest_xray.locations import Location, S3Prefix, read_location, require_s3

if TYPE_CHECKING:
    from chest_xray.data.prepare.prepare import PrepareReport
    from chest_xray.settings import ProcessingSettings

_VALIDATION_FRACTION: Final = 0.1
_MANIFEST: Final = "manifest.json"


class Preparer:
    """Prepares sources of one account and region.

    Jobs are named by what they do: the same command finds the job that it began, follows it, and takes what is done as
    done.
    """

    def __init__(self, settings: ProcessingSettings, aws: Aws | None = None, *, shard_bytes: int = SHARD_BYTES) -> None:
        self._settings, self._shard_bytes = settings, shard_bytes
        self._aws = aws or Aws(settings.region)

    def prepare(self, source: Location, output: S3Prefix, *, image_size: int) -> PrepareReport:
        """Make shards of an NIH-format prefix, or of a folder that is copied to the bucket first, below `output`.

        Raises:
            SettingsError: a setting is missing, or a request breaks one of AWS's rules: no job was made.
            DataError: the source contradicts itself, `output` belongs to something else, or a job failed.
            CloudError: AWS refused.
            JobStoppedError: a job was stopped.
        """
        check_options(image_size, None, _VALIDATION_FRACTION)
        store = self._store()
        store.check_bucket(output.bucket)
        if isinstance(source, Path):
            source = copy_source(store, source, _VALIDATION_FRACTION)
        store.check_bucket(source.bucket)
        found = Source.read(store, source, _VALIDATION_FRACTION)
        work = self._work(found, image_size)
        if self._is_finished(store, output, found, work):
            say(f"{output} is finished already, from the same source with the same options: nothing to do.")
            return report_of(json.loads(store.read(str(output / DATASET_FILE))), output, 0.0)
        requests = self._requests(store, found, output, work)
        require_network(self._aws, self._settings)
        self._put_inputs(store, found)
        make_experiment(self._aws)
        seconds = [self._run(request, store) for request in requests]
        report = report_of(json.loads(store.read(str(output / DATASET_FILE))), output, len(found.films) / seconds[0])
        self._check_shards(store, output)
        return report

    def plan(self, source: S3Prefix, output: S3Prefix, *, image_size: int) -> list[dict[str, Any]]:
        """What `prepare` would ask of SageMaker. The source is listed and its tables are read, nothing is written.

        Raises:
            SettingsError, DataError, CloudError: what `prepare` would refuse before its first job.
        """
        check_options(image_size, None, _VALIDATION_FRACTION)
        store = self._store()
        found = Source.read(store, source, _VALIDATION_FRACTION)
        puts = [
            {"service": "s3", "operation": "PutObject", "to": f"{place}/{name}", "bytes": len(content)}
            for place, name, content in self._inputs(store, found)
        ]
        requests = self._requests(store, found, output, self._work(found, image_size))
        return [
            *puts,
            {"service": "sagemaker", "operation": "CreateExperiment", "request": experiment_request()},
            *({"service": "sagemaker", "operation": "CreateProcessingJob", "request": request} for request in requests),
        ]

    def _store(self) -> Store:
        settings = self._settings
        return Store(self._aws, needed("bucket", settings.bucket), settings.prefix, settings.kms_key)

    def _work(self, source: Source, image_size: int) -> Preparation:
        return Preparation(source.digest, image_size, _VALIDATION_FRACTION, self._shard_bytes)

    def _is_finished(self, store: Store, output: S3Prefix, source: Source, work: Preparation) -> bool:
        """Whether the output is finished; False where there is nothing.

        Raises:
            DataError: it is of another source, of other options, or of something else.
        """
        there = store.list(output)
        if CLAIM_FILE not in there or DATASET_FILE not in there:
            if there:
                name = min(there)
                raise DataError(f"{output} is not empty and not a finished data set ({name} is there): give another.")
            return False
        # Where it lies does not matter: only what it was made of and how.
        settings = PackSettings(Path(), work.image_size, work.shard_bytes, 1)
        claim = make_claim(source.manifest, settings, work.validation_fraction)
        theirs = json.loads(store.read(str(output / CLAIM_FILE)))
        if (differences := claim_differences(theirs, claim)) is not None:
            raise DataError(
                f"{output} was made from another source or with other options ({differences}): give another."
            )
        return True

    def _inputs(self, store: Store, source: Source) -> list[tuple[str, str, bytes]]:
        """Small files that tell the containers of the source: the prefix, the name below it, the bytes."""
        listing, films, tables = (
            source.listing(),
            source.manifest_file(source.films),
            source.manifest_file(source.tables),
        )
        return [
            (store.place(listing, "prepare", "listing"), LISTING, listing),
            (store.place(films, "prepare", "films"), _MANIFEST, films),
            (store.place(tables, "prepare", "tables"), _MANIFEST, tables),
        ]

    def _put_inputs(self, store: Store, source: Source) -> None:
        for folder, (_, name, content) in zip(("listing", "films", "tables"), self._inputs(store, source), strict=True):
            store.put(content, "prepare", folder, name)

    def _requests(self, store: Store, source: Source, output: S3Prefix, work: Preparation) -> list[dict[str, Any]]:
        """The jobs, one after the other, held to every rule. One instance needs one job."""
        (listing, _, _), (films, films_name, _), (tables, tables_name, _) = self._inputs(store, source)
        common = [
            Given(TABLES, f"{tables}/{tables_name}", "ManifestFile"),
            Given(LISTING_FOLDER, listing),
        ]
        share = Given(FILMS, f"{films}/{films_name}", "ManifestFile", shared_out=True)
        settings = self._settings
        content = json.dumps([work.source_digest, work.image_size, work.shard_bytes, settings.image, str(output)])
        digest = hashlib.sha256(content.encode()).hexdigest()
        parts = store.uri("prepare", "parts", digest[:16])
        steps: list[tuple[Step, list[Given], str]] = [("all", [*common, share], str(output))]
        if settings.instance_count > 1:
            steps = [
                ("decode", [*common, share], parts),
                ("assemble", [*common, Given(PARTS, parts)], str(output)),
            ]
        requests = []
        for step, inputs, to in steps:
            request = processing_request(self._name(output, digest, step), step, inputs, to, work, settings)
            check_processing_request(request, self._aws.region)
            requests.append(request)
        return requests

    def _name(self, output: S3Prefix, digest: str, step: Step) -> str:
        tail = f"{digest[:8]}-{step}"
        # Room for the number of another try.
        return f"{legal(output.key or output.bucket, LONGEST - len(tail) - 4)}-{tail}"

    def _run(self, request: dict[str, Any], store: Store) -> float:
        """Take a job to its end, wherever it stands; returns its seconds of work."""
        job = self._find_or_create(request, store)
        name = job["ProcessingJobName"]
        self._aws.patience = PATIENT
        lines: list[str] = []
        if job["ProcessingJobStatus"] not in ENDED:
            try:
                job, lines = follow(self._aws, PROCESSING, name, poll_seconds=self._settings.poll_seconds)
            except KeyboardInterrupt:
                say("The job goes on without you. To follow it again, run the same command again.")
                say(f"To stop it: aws sagemaker stop-processing-job --processing-job-name {name}")
                raise
            except CloudError as error:
                raise CloudError(f"{error} The job may go on: run the same command again.") from error
        reason = f"{job.get('FailureReason', '')} {job.get('ExitMessage', '')}".strip()
        match job["ProcessingJobStatus"]:
            case "Failed":
                raise DataError(describe_failure(f"{PROCESSING.noun} {name}", reason, lines))
            case "Stopped":
                raise JobStoppedError(
                    f"Processing job {name} is not finished: {reason or 'it was stopped'}. Run the same command again."
                )
        worked: float = (job["ProcessingEndTime"] - job["ProcessingStartTime"]).total_seconds()
        return max(worked, 1e-9)

    def _find_or_create(self, request: dict[str, Any], store: Store) -> dict[str, Any]:
        """The job of this name that runs, or is done and left something, else a new one, numbered after the others."""
        base, number = request["ProcessingJobName"], 1
        while True:
            name = base if number == 1 else f"{base}-{number}"
            job = self._describe(name)
            if job is None:
                break
            status = job["ProcessingJobStatus"]
            if status in ("InProgress", "Stopping") or (status == "Completed" and store.list(_output_of(request))):
                return job
            number += 1
        try:
            self._aws.call("sagemaker", "create_processing_job", **(request | {"ProcessingJobName": name}))
        except CloudError as error:
            # Where the answer to a first try was lost, the second finds the first one's job.
            if "ResourceInUse" not in str(error):
                raise
        cluster = request["ProcessingResources"]["ClusterConfig"]
        say(f"Processing job {name} on {cluster['InstanceCount']} of {cluster['InstanceType']}, {self._aws.region}.")
        return self._describe(name) or {}

    def _describe(self, name: str) -> dict[str, Any] | None:
        """None for a job that was never created."""
        try:
            job: dict[str, Any] = self._aws.call("sagemaker", PROCESSING.describe, ProcessingJobName=name)
        except CloudError as error:
            if "Could not find" in str(error) or "not found" in str(error):
                return None
            raise
        return job

    def _check_shards(self, store: Store, output: S3Prefix) -> None:
        there = store.list(output)
        dataset = json.loads(store.read(str(output / DATASET_FILE)))
        missing = [shard["file"] for shard in dataset["shards"] if shard["file"] not in there]
        if missing:
            raise DataError(
                f"{output} lacks {missing[0]}, which its job says it wrote: delete it and prepare it again."
            )


def _output_of(request: dict[str, Any]) -> S3Prefix:
    return require_s3(read_location(request["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]), "The output")
