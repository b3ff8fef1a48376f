"""A job followed to its end: states and log as they come, whatever happens to the connection."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chest_xray.backends.sagemaker.causes import LAST_LINES
from chest_xray.console import say
from chest_xray.errors import CloudError

if TYPE_CHECKING:
    from chest_xray.backends.sagemaker.aws import Aws


@dataclass(frozen=True, slots=True)
class JobKind:
    """How a kind of job is asked after: the operation that describes it, two members' names, and its log group."""

    noun: str
    describe: str
    name: str
    status: str
    log_group: str


TRAINING: Final = JobKind(
    "Training job", "describe_training_job", "TrainingJobName", "TrainingJobStatus", "/aws/sagemaker/TrainingJobs"
)
PROCESSING: Final = JobKind(
    "Processing job",
    "describe_processing_job",
    "ProcessingJobName",
    "ProcessingJobStatus",
    "/aws/sagemaker/ProcessingJobs",
)
ENDED: Final = ("Completed", "Failed", "Stopped")
_ON_AWS: Final = 10.0
_SLOWER: Final = 1.25
_SLOWEST: Final = 6  # times the first interval


class JobLog:
    """What a job's containers printed since the last look. `last` has the last lines of all."""

    def __init__(self, aws: Aws, group: str, name: str) -> None:
        self._aws, self._group, self._name = aws, group, name
        self._tokens: dict[str, str | None] = {}
        self.last: deque[str] = deque(maxlen=LAST_LINES)

    def read(self) -> list[str]:
        """New lines; those of several hosts are marked with the host. None while there is no log yet."""
        try:
            streams = self._aws.call(
                "logs", "describe_log_streams", logGroupName=self._group, logStreamNamePrefix=f"{self._name}/"
            )["logStreams"]
        except CloudError as error:
            if "ResourceNotFound" in str(error):
                return []
            raise
        names = sorted(stream["logStreamName"] for stream in streams)
        several = len({_host(name) for name in names}) > 1
        lines = [f"{_host(name)}: {line}" if several else line for name in names for line in self._stream(name)]
        self.last.extend(lines)
        return lines

    def _stream(self, stream: str) -> list[str]:
        lines: list[str] = []
        while True:
            token = self._tokens.get(stream)
            where = {"nextToken": token} if token else {"startFromHead": True}
            page = self._aws.call(
                "logs", "get_log_events", logGroupName=self._group, logStreamName=stream, **where
            )  # fmt: skip
            lines += [event["message"] for event in page["events"]]
            self._tokens[stream] = page["nextForwardToken"]
            if not page["events"] or page["nextForwardToken"] == token:
                return lines


def follow(
    aws: Aws, kind: JobKind, name: str, *, poll_seconds: float, sleep: Callable[[float], None] = time.sleep
) -> tuple[dict[str, Any], list[str]]:
    """Wait for a job's last state; returns the description's last answer and the log's last lines.

    It looks less often while nothing changes, at most every 10 s on AWS itself, and lists nothing.

    Raises:
        CloudError: AWS refused to show the job.
    """
    first = max(poll_seconds, _ON_AWS) if aws.is_real else poll_seconds
    interval, seen, log = first, 0, JobLog(aws, kind.log_group, name)
    while True:
        job: dict[str, Any] = aws.call("sagemaker", kind.describe, **{kind.name: name})
        news = _say_transitions(name, _transitions(job, job[kind.status])[seen:])
        lines = log.read()
        for line in lines:
            say(line)
        if job[kind.status] in ENDED:
            # The log arrives after the states, and its last lines are the ones that tell.
            sleep(first)
            for line in log.read():
                say(line)
            return job, list(log.last)
        seen += news
        interval = first if news or lines else min(interval * _SLOWER, first * _SLOWEST)
        sleep(interval)


def _transitions(job: dict[str, Any], status: str) -> list[dict[str, Any]]:
    """A job's states so far; one that does not list them has begun, may run, and may have ended."""
    if "SecondaryStatusTransitions" in job:
        return list(job["SecondaryStatusTransitions"])
    states = ["Starting", *(["Processing"] if "ProcessingStartTime" in job else []), *([status] * (status in ENDED))]
    return [{"Status": state} for state in states]


def _say_transitions(name: str, transitions: list[dict[str, Any]]) -> int:
    """Print the states that are new; returns how many."""
    for transition in transitions:
        say(f"{name}: {transition['Status']}. {transition.get('StatusMessage', '')}".rstrip())
    return len(transitions)


def _host(stream: str) -> str:
    """`job/algo-1-1700000000` -> `algo-1`."""
    return stream.rsplit("/", 1)[-1].rsplit("-", 1)[0]
