"""The containers of one attempt at a job, one a host, and their logs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from chest_xray.emulator.jobs.container import Container
from chest_xray.emulator.jobs.launch import Launch, start
from chest_xray.emulator.log_stream import LogStream
from chest_xray.emulator.runtime import Runtime


class Cluster:
    """Started containers by host.

    Attributes:
        failed: the first host that was found to have failed, and its exit code. Its neighbours are ended for it.
    """

    def __init__(self, runtime: Runtime, group: str, on_line: Callable[[str], None] | None = None) -> None:
        self.failed: tuple[str, int] | None = None
        self._runtime, self._group, self._on_line = runtime, group, on_line
        self._logs: list[LogStream] = []
        self._containers: dict[str, Container] = {}

    def start(self, job: str, launch: Launch, roots: Mapping[str, Path]) -> None:
        """Start every host's container; `roots` are what they find at /opt/ml. A host's stream is `JOB/HOST-TIME`.

        Raises:
            EmulatorError: the image names nothing to run.
        """
        self._logs, self._containers = [], {}
        for host, root in roots.items():
            stream = f"{job}/{host}-{int(time.time())}"
            log = LogStream(self._runtime.connect("logs", launch.region), self._group, stream)
            self._logs.append(log)
            self._containers[host] = start(launch, self._runtime, root, self._reader(log))

    def _reader(self, log: LogStream) -> Callable[[str], None]:
        def on_line(line: str) -> None:
            log.add(line)
            if self._on_line is not None:
                self._on_line(line)

        return on_line

    def has_ended(self) -> bool:
        """Whether one failed or all are done."""
        codes = self._exit_codes()
        self.failed = next(((host, code) for host, code in codes.items() if code), None)
        return self.failed is not None or None not in codes.values()

    def _exit_codes(self) -> dict[str, int | None]:
        return {host: container.exit_code() for host, container in self._containers.items()}

    def terminate(self, grace: float) -> None:
        """SIGTERM to every container, and as long as it needs, up to `grace` seconds."""
        for container in self._containers.values():
            container.terminate()
        until = time.monotonic() + grace
        while time.monotonic() < until and None in self._exit_codes().values():
            time.sleep(self._runtime.pace.tick)
            self.flush()

    def kill(self) -> None:
        """End every process at once, and send what was printed."""
        for container in self._containers.values():
            container.kill()
        self.flush()

    def flush(self) -> None:
        """Send what the containers printed since the last time."""
        for log in self._logs:
            log.flush()
