"""What a container prints, on its way to CloudWatch Logs, and the metrics that regular expressions find in it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

_AT_ONCE = 1000
_LONGEST = 256_000  # bytes of an event, less its overhead


class LogStream:
    """One stream of a log group. Lines come from a reader's thread; `flush` sends them."""

    def __init__(self, client: Any, group: str, stream: str) -> None:
        self._client, self._group, self._stream = client, group, stream
        self._lock = threading.Lock()
        self._waiting: list[dict[str, Any]] = []
        self._made = False

    def add(self, line: str) -> None:
        """Take a line; an empty one is a blank, as CloudWatch has no empty events."""
        event = {"timestamp": int(time.time() * 1000), "message": line[:_LONGEST] or " "}
        with self._lock:
            self._waiting.append(event)

    def flush(self) -> None:
        """Send what came since."""
        with self._lock:
            events, self._waiting = self._waiting, []
        if events and not self._made:
            self._make()
        for start in range(0, len(events), _AT_ONCE):
            self._client.put_log_events(
                logGroupName=self._group, logStreamName=self._stream, logEvents=events[start : start + _AT_ONCE]
            )

    def _make(self) -> None:
        exists = self._client.exceptions.ResourceAlreadyExistsException
        for make, names in (
            (self._client.create_log_group, {"logGroupName": self._group}),
            (self._client.create_log_stream, {"logGroupName": self._group, "logStreamName": self._stream}),
        ):
            try:
                make(**names)
            except exists:
                continue
        self._made = True


class Metrics:
    """The last value that each of a job's MetricDefinitions found."""

    def __init__(self, definitions: Sequence[Mapping[str, str]]) -> None:
        self._definitions = [(item["Name"], re.compile(item["Regex"])) for item in definitions]
        self._found: dict[str, tuple[float, float]] = {}

    def read(self, line: str) -> None:
        """Look for every metric in a line of the log: its first group is the number."""
        for name, pattern in self._definitions:
            if (match := pattern.search(line)) and pattern.groups:
                try:
                    self._found[name] = float(match.group(1)), time.time()
                except ValueError:
                    continue

    def final(self) -> list[dict[str, Any]]:
        """FinalMetricDataList."""
        return [{"MetricName": name, "Value": value, "Timestamp": at} for name, (value, at) in self._found.items()]
