"""A training job as DescribeTrainingJob shows it, with its states over time."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any, Final

from moto.core.utils import utcnow

RUNNING: Final = ("InProgress", "Stopping")
# The share of the time on spot instances that is billed here. AWS's differs by the hour; about 70% is usual to save.
SPOT_BILLED: Final = 0.3

_MESSAGES: Final = {
    "Starting": "Launching requested ML instances",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "Training job interrupted",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
}


class TrainingJob:
    """The recorded request and what became of it.

    The attributes that moto's own list and search read have moto's names. `stop` and `reclaim` are asked for by
    requests and answered by the job's own thread.
    """

    def __init__(self, request: dict[str, Any], *, arn: str, region: str) -> None:
        self.request = request
        self.arn = arn
        self.region = region
        self.training_job_name: str = request["TrainingJobName"]
        self.tags: list[dict[str, str]] = list(request.get("Tags", ()))
        self.creation_time = self.last_modified_time = utcnow()
        self.training_start_time: datetime | None = None
        self.training_end_time: datetime | None = None
        self.training_job_status = "InProgress"
        self.secondary_status = ""
        self.failure_reason: str | None = None
        self.final_metrics: list[dict[str, Any]] = []
        self.stop, self.reclaim = threading.Event(), threading.Event()
        self._transitions: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self.enter("Starting")

    @property
    def spot(self) -> bool:
        """Whether its instances may be taken away."""
        return bool(self.request.get("EnableManagedSpotTraining"))

    @property
    def output(self) -> str:
        """The prefix of its results in S3, without a slash at the end."""
        return f"{self.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.training_job_name}/output"

    def limit(self, name: str) -> float:
        """Seconds of a StoppingCondition; a day where AWS's default counts, infinity where there is none."""
        default = 86_400 if name == "MaxRuntimeInSeconds" else float("inf")
        return float(self.request.get("StoppingCondition", {}).get(name, default))

    def enter(self, secondary: str, message: str | None = None) -> None:
        """Go on to a secondary status."""
        with self._lock:
            now = self.last_modified_time = utcnow()
            if self._transitions:
                self._transitions[-1].setdefault("EndTime", now)
            text = message or _MESSAGES[secondary]
            self._transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": text})
            self.secondary_status = secondary
            if secondary == "Training" and self.training_start_time is None:
                self.training_start_time = now

    def ask_to_stop(self) -> None:
        """Note a StopTrainingJob."""
        if not self.stop.is_set():
            self.training_job_status = "Stopping"
            self.enter("Stopping")
            self.stop.set()

    def end(self, status: str, secondary: str, reason: str | None = None) -> None:
        """Enter the last state."""
        self.enter(secondary, reason)
        with self._lock:
            self._transitions[-1]["EndTime"] = self.training_end_time = self.last_modified_time
            self.failure_reason = reason
            self.training_job_status = status

    @property
    def response_object(self) -> dict[str, Any]:
        """The answer to DescribeTrainingJob."""
        with self._lock:
            found = {name: value for name, value in self.request.items() if name != "Tags"}
            found |= {
                "TrainingJobArn": self.arn,
                "TrainingJobStatus": self.training_job_status,
                "SecondaryStatus": self.secondary_status,
                "SecondaryStatusTransitions": [dict(item) for item in self._transitions],
                "CreationTime": self.creation_time,
                "LastModifiedTime": self.last_modified_time,
                "FinalMetricDataList": list(self.final_metrics),
                "EnableManagedSpotTraining": self.spot,
                "EnableNetworkIsolation": bool(self.request.get("EnableNetworkIsolation")),
            }
            if self.failure_reason is not None:
                found["FailureReason"] = self.failure_reason
            return found | self._times()

    def _times(self) -> dict[str, Any]:
        times: dict[str, Any] = {}
        if self.training_start_time is not None:
            times["TrainingStartTime"] = self.training_start_time
        if self.training_end_time is None:
            return times
        times["TrainingEndTime"] = self.training_end_time
        times["ModelArtifacts"] = {"S3ModelArtifacts": f"{self.output}/model.tar.gz"}
        if self.training_start_time is not None:
            seconds = max(1, round((self.training_end_time - self.training_start_time).total_seconds()))
            times["TrainingTimeInSeconds"] = seconds
            times["BillableTimeInSeconds"] = max(1, round(seconds * SPOT_BILLED)) if self.spot else seconds
        return times
