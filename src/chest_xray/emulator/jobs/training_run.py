"""One training job from Starting to its last state, in a thread of its own."""

from __future__ import annotations

import shutil
import tempfile
import time
from enum import Enum
from pathlib import Path

from chest_xray.archives import pack
from chest_xray.emulator.jobs.checkpoints import CheckpointSync
from chest_xray.emulator.jobs.cluster import Cluster
from chest_xray.emulator.jobs.job_thread import JobThread
from chest_xray.emulator.jobs.launch import Launch
from chest_xray.emulator.jobs.opt_ml import checkpoint_folder, lay_out
from chest_xray.emulator.jobs.training_job import TrainingJob
from chest_xray.emulator.log_stream import Metrics
from chest_xray.emulator.runtime import Runtime
from chest_xray.emulator.storage import Storage

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
FAILURE_CHARACTERS = 1024


class Ending(Enum):
    """Why the containers of one attempt are gone; the value is the secondary status of a stopped job."""

    EXITED = "Completed"
    RECLAIMED = "Interrupted"
    STOPPED = "Stopped"
    MAX_RUNTIME = "MaxRuntimeExceeded"
    MAX_WAIT = "MaxWaitTimeExceeded"


class TrainingRun(JobThread):
    """Runs a job's containers, again after each spot interruption, and writes the states, results and times."""

    def __init__(self, job: TrainingJob, runtime: Runtime) -> None:
        self._metrics = Metrics(job.request["AlgorithmSpecification"].get("MetricDefinitions", ()))
        cluster = Cluster(runtime, LOG_GROUP, self._metrics.read)
        super().__init__(f"training-{job.training_job_name}", runtime, cluster)
        self.job = job
        count = job.request["ResourceConfig"].get("InstanceCount", 1)
        self._hosts = [f"algo-{number}" for number in range(1, count + 1)]
        self._storage = Storage(runtime.connect("s3", job.region))
        self._syncs: list[CheckpointSync] = []
        self._started = time.monotonic()
        self._trained = 0.0

    def _fail(self, reason: str) -> None:
        self.job.end("Failed", "Failed", reason)

    def _run(self, folder: Path) -> None:
        attempt = 0
        while True:
            root = folder / f"attempt-{attempt}"
            ending = self._attempt(root)
            if ending is not Ending.RECLAIMED:
                break
            shutil.rmtree(root)
            attempt += 1
            if (gave_up := self._wait_for_capacity()) is not None:
                return self.job.end("Stopped", gave_up.value)
        return self._end(root, ending)

    def _wait_for_capacity(self) -> Ending | None:
        """After a reclaim: None when there is an instance again."""
        self.job.reclaim.clear()
        self.job.enter("Interrupted")
        until = time.monotonic() + self._runtime.pace.restart
        while time.monotonic() < until:
            time.sleep(self._runtime.pace.tick)
            if self.job.stop.is_set() or self._closing.is_set():
                return Ending.STOPPED
            if self._waited_too_long():
                return Ending.MAX_WAIT
        self.job.enter("Starting", "Preparing the instances for training")
        return None

    def _attempt(self, root: Path) -> Ending:
        self.job.enter("Downloading")
        for host in self._hosts:
            lay_out(root / host, self.job.request, self._storage, host, self._hosts)
        self._syncs = list(self._checkpoint_syncs(root))
        started = time.monotonic()
        self._cluster.start(self.job.training_job_name, self._launch(), {host: root / host for host in self._hosts})
        self.job.enter("Training")
        ending = self._watch(started)
        self._trained += time.monotonic() - started
        if ending in (Ending.STOPPED, Ending.MAX_RUNTIME, Ending.MAX_WAIT):
            self._terminate()
        # A container that went away with its instance, or whose neighbour failed, is not asked first.
        self._cluster.kill()
        if ending is not Ending.RECLAIMED:
            self._copy_checkpoints()
        return ending

    def _launch(self) -> Launch:
        request = self.job.request
        algorithm = request["AlgorithmSpecification"]
        entry = algorithm.get("ContainerEntrypoint")
        return Launch(
            image=algorithm["TrainingImage"],
            entry=entry,
            # An entry of the request's own is not told to train.
            arguments=algorithm.get("ContainerArguments") or ([] if entry else ["train"]),
            own={"TRAINING_JOB_NAME": self.job.training_job_name, "TRAINING_JOB_ARN": self.job.arn},
            asked=request.get("Environment", {}),
            region=self.job.region,
            isolated=bool(request.get("EnableNetworkIsolation")),
        )

    def _watch(self, started: float) -> Ending:
        pace, job = self._runtime.pace, self.job
        next_copy = started + pace.sync
        while True:
            time.sleep(pace.tick)
            now = time.monotonic()
            self._cluster.flush()
            if job.reclaim.is_set():
                return Ending.RECLAIMED
            if self._cluster.has_ended():
                return Ending.EXITED
            if job.stop.is_set() or self._closing.is_set():
                return Ending.STOPPED
            if self._waited_too_long():
                return Ending.MAX_WAIT
            if self._trained + now - started > job.limit("MaxRuntimeInSeconds"):
                return Ending.MAX_RUNTIME
            if now >= next_copy:
                self._copy_checkpoints()
                next_copy = time.monotonic() + pace.sync

    def _waited_too_long(self) -> bool:
        return time.monotonic() - self._started > self.job.limit("MaxWaitTimeInSeconds")

    def _end(self, root: Path, ending: Ending) -> None:
        job = self.job
        job.final_metrics = self._metrics.final()
        failed = self._cluster.failed
        if ending is not Ending.EXITED:
            self._upload(root)
            return job.end("Stopped", ending.value)
        if failed is not None:
            self._upload_folder([root / host / "output" / "data" for host in self._hosts], "output.tar.gz")
            return job.end("Failed", "Failed", _failure_reason(root / failed[0], failed[1]))
        job.enter("Uploading")
        self._upload(root)
        return job.end("Completed", "Completed")

    def _upload(self, root: Path) -> None:
        self._upload_folder([root / host / "model" for host in self._hosts], "model.tar.gz")
        self._upload_folder([root / host / "output" / "data" for host in self._hosts], "output.tar.gz")

    def _upload_folder(self, folders: list[Path], name: str) -> None:
        if not any(path.is_file() for folder in folders for path in folder.rglob("*")):
            return
        with tempfile.TemporaryFile(dir=self._runtime.folder) as archive:
            pack(folders, archive)
            archive.seek(0)
            key = self.job.request["OutputDataConfig"].get("KmsKeyId")
            self._storage.upload(archive, f"{self.job.output}/{name}", key)

    def _checkpoint_syncs(self, root: Path) -> list[CheckpointSync]:
        if (config := self.job.request.get("CheckpointConfig")) is None:
            return []
        key = self.job.request["OutputDataConfig"].get("KmsKeyId")
        return [
            CheckpointSync(checkpoint_folder(root / host, self.job.request), config["S3Uri"], self._storage, key)
            for host in self._hosts
        ]

    def _copy_checkpoints(self) -> None:
        for sync in self._syncs:
            sync.copy()


def _failure_reason(root: Path, code: int) -> str:
    failure = root / "output" / "failure"
    said = failure.read_text(encoding="utf-8", errors="replace")[:FAILURE_CHARACTERS] if failure.is_file() else ""
    return f"AlgorithmError: {said}, exit code: {code}"
