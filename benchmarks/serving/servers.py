"""Server processes on loopback, and what the kernel knows of them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.load import Target
from chest_xray.backends.local.endpoints import Endpoints
from chest_xray.bundle import load_bundle
from chest_xray.prediction import ModelIdentity

START_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A running server: its process and where it listens; `started` is a time.perf_counter()."""

    process: subprocess.Popen[bytes]
    target: Target
    started: float

    def rss_mb(self) -> float:
        """Resident memory of the process and of its children, in MB."""
        return sum(_rss_kb(pid) for pid in (self.process.pid, *_children(self.process.pid))) / 1024


@contextmanager
def our_server(bundle: Path, home: Path, processors: set[int] | None = None) -> Iterator[Server]:
    """`cxr serve` over a deployed bundle, without keys, on a free port, and on these processors only."""
    model = ModelIdentity(name="benchmark", version=1, digest=load_bundle(bundle).digest)
    if not (home / "endpoints").exists():
        Endpoints(home / "endpoints").deploy("benchmark", model, lambda folder: _copied(bundle, folder))
    command = ["-m", "chest_xray.cli", "serve", "--endpoint", "benchmark", "--queue", "64"]
    with _running(command, "/v1/predictions", {"CXR_HOME": str(home)}, processors) as server:
        yield server


@contextmanager
def usual_server(weights: Path) -> Iterator[Server]:
    """The usual service, in a process of its own."""
    with _running(["-m", "benchmarks.serving.usual", str(weights)], "/predict", {}) as server:
        yield server


@contextmanager
def _running(
    command: Sequence[str], path: str, environment: dict[str, str], processors: set[int] | None = None
) -> Iterator[Server]:
    port = _free_port()
    arguments = [*command, "--port", str(port)] if "serve" in command else [*command, str(port)]
    started = time.perf_counter()
    with Path(os.devnull).open("wb") as nowhere:
        prefix = [] if processors is None else ["taskset", "--cpu-list", ",".join(map(str, sorted(processors)))]
        command = [*prefix, sys.executable, *arguments]
        process = subprocess.Popen(command, env=os.environ | environment, stderr=nowhere)
    try:
        yield Server(process, Target("127.0.0.1", port, path), started)
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)


def _copied(bundle: Path, folder: Path) -> Path:
    return Path(shutil.copytree(bundle, folder / "bundle"))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _rss_kb(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found.group(1)) if found else 0


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
