"""A processing job as DescribeProcessingJob shows it, with its states over time."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any, Final

from moto.core.utils import utcnow

RUNNING: Final = ("InProgress", "Stopping")
_DEFAULT_SECONDS: Final = 86_400


class ProcessingJob:
    """The recorded request and what became of it.

    The attributes that moto's own list and search read have moto's names. `stop` is asked for by a request and answered
    by the job's own thread.
    """

    def __init__(self, request: dict[str, Any], *, arn: str) -> None:
        self.request = request
        self.arn = arn
        self.processing_job_name: str = request["ProcessingJobName"]
        self.tags: list[dict[str, str]] = list(request.get("Tags", ()))
        self.creation_time = self.last_modified_time = utcnow()
        self.processing_start_time: datetime | None = None
        self.processing_end_time: datetime | None = None
        self.processing_job_status = "InProgress"
        self.failure_reason: str | None = None
        self.exit_message: str | None = None
        self.stop = threading.Event()
        self._lock = threading.Lock()

    @property
    def hosts(self) -> list[str]:
        """Their names."""
        count = self.request["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
        return [f"algo-{number}" for number in range(1, count + 1)]

    @property
    def limit(self) -> float:
        """Seconds after which it is stopped."""
        return float(self.request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _DEFAULT_SECONDS))

    def begin(self) -> None:
        """Note that the containers run."""
        self.processing_start_time = self.last_modified_time = utcnow()

    def ask_to_stop(self) -> None:
        """Note a StopProcessingJob."""
        if not self.stop.is_set():
            self.processing_job_status = "Stopping"
            self.last_modified_time = utcnow()
            self.stop.set()

    def end(self, status: str, reason: str | None = None, message: str | None = None) -> None:
        """Enter the last state."""
        with self._lock:
            self.processing_end_time = self.last_modified_time = utcnow()
            self.failure_reason, self.exit_message = reason, message
            self.processing_job_status = status

    @property
    def response_object(self) -> dict[str, Any]:
        """The answer to DescribeProcessingJob."""
        with self._lock:
            found = {name: value for name, value in self.request.items() if name != "Tags"}
            later = {
                "FailureReason": self.failure_reason,
                "ExitMessage": self.exit_message,
                "ProcessingStartTime": self.processing_start_time,
                "ProcessingEndTime": self.processing_end_time,
            }
            return {
                **found,
                "ProcessingJobArn": self.arn,
                "ProcessingJobStatus": self.processing_job_status,
                "CreationTime": self.creation_time,
                "LastModifiedTime": self.last_modified_time,
                **{name: value for name, value in later.items() if value is not None},
            }
