"""One processing job from its inputs to its outputs, in a thread of its own."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from chest_xray.emulator.jobs.cluster import Cluster
from chest_xray.emulator.jobs.job_thread import JobThread
from chest_xray.emulator.jobs.launch import Launch
from chest_xray.emulator.jobs.opt_ml import inside
from chest_xray.emulator.jobs.processing_job import ProcessingJob
from chest_xray.emulator.runtime import Runtime
from chest_xray.emulator.storage import Storage

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
MESSAGE_BYTES = 1024


class ProcessingRun(JobThread):
    """Lays out the inputs, runs the containers, uploads what they left and writes the states."""

    def __init__(self, job: ProcessingJob, runtime: Runtime, region: str) -> None:
        super().__init__(f"processing-{job.processing_job_name}", runtime, Cluster(runtime, LOG_GROUP))
        self.job, self._region = job, region
        self._storage = Storage(runtime.connect("s3", region))

    def _fail(self, reason: str) -> None:
        self.job.end("Failed", reason)

    def _run(self, folder: Path) -> None:
        job = self.job
        roots = {host: folder / host for host in job.hosts}
        for host, root in roots.items():
            self._lay_out(host, root)
        self._cluster.start(job.processing_job_name, self._launch(), roots)
        job.begin()
        stopped = self._watch()
        if stopped is not None:
            self._terminate()
        self._cluster.kill()
        if stopped is not None:
            return job.end("Stopped", stopped or None)
        if self._cluster.failed is not None:
            host, code = self._cluster.failed
            return job.end("Failed", f"AlgorithmError: , exit code: {code}", _exit_message(roots[host]))
        for root in roots.values():
            self._upload(root)
        return job.end("Completed", message=_exit_message(roots[job.hosts[0]]))

    def _lay_out(self, host: str, root: Path) -> None:
        config = root / "config"
        config.mkdir(parents=True)
        (root / "output").mkdir()
        hosts = self.job.hosts
        (config / "processingjobconfig.json").write_text(json.dumps(self.job.request), encoding="utf-8")
        resources = {"current_host": host, "hosts": hosts, "network_interface_name": "lo"}
        (config / "resourceconfig.json").write_text(json.dumps(resources), encoding="utf-8")
        for given in self.job.request.get("ProcessingInputs", ()):
            source = given["S3Input"]
            folder = _place(source, root)
            self._storage.download(source, folder, part=hosts.index(host), parts=len(hosts))
        for output in self._outputs():
            _place(output["S3Output"], root).mkdir(parents=True, exist_ok=True)

    def _launch(self) -> Launch:
        request, job = self.job.request, self.job
        application = request["AppSpecification"]
        return Launch(
            image=application["ImageUri"],
            entry=application.get("ContainerEntrypoint"),
            arguments=application.get("ContainerArguments", ()),
            own={"PROCESSING_JOB_NAME": job.processing_job_name, "PROCESSING_JOB_ARN": job.arn},
            asked=request.get("Environment", {}),
            region=self._region,
            isolated=bool(request.get("NetworkConfig", {}).get("EnableNetworkIsolation")),
        )

    def _watch(self) -> str | None:
        """None once the containers ended by themselves, else why they are stopped, which may be an empty string."""
        started = time.monotonic()
        while True:
            time.sleep(self._runtime.pace.tick)
            self._cluster.flush()
            if self._cluster.has_ended():
                return None
            if self.job.stop.is_set() or self._closing.is_set():
                return ""
            if time.monotonic() - started > self.job.limit:
                return "ProcessingJob runtime exceeded MaxRuntimeInSeconds provided"

    def _upload(self, root: Path) -> None:
        key = self.job.request.get("ProcessingOutputConfig", {}).get("KmsKeyId")
        for output in self._outputs():
            folder, uri = _place(output["S3Output"], root), output["S3Output"]["S3Uri"].rstrip("/")
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    with path.open("rb") as content:
                        self._storage.upload(content, f"{uri}/{path.relative_to(folder).as_posix()}", key)

    def _outputs(self) -> list[dict[str, Any]]:
        outputs: list[dict[str, Any]] = self.job.request.get("ProcessingOutputConfig", {}).get("Outputs", [])
        return outputs


def _place(described: dict[str, Any], root: Path) -> Path:
    return Path(inside(described["LocalPath"], root))


def _exit_message(root: Path) -> str | None:
    path = root / "output" / "message"
    return path.read_bytes()[:MESSAGE_BYTES].decode("utf-8", "replace") if path.is_file() else None
