"""`cxr serve` as a process, which a test may kill and start again where it was."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from tests.support.bundles import write_bundle
from tests.support.endpoints import deploy_folder
from tests.support.processes import environment

ENDPOINT: Final = "clinic"
START_SECONDS: Final = 60.0


class Server:
    """A server over what is deployed below `home`; `home / "serve.log"` is all that it said."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        self._arguments = arguments
        self._port = "0"  # any; the same again after the first start
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens: `http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> str:
        """What the server wrote, since its first start."""
        return (self.home / "serve.log").read_text()

    def deploy(self, **changes: Any) -> None:
        """Deploy the tiny bundle of tests.support.bundles; `changes` replace fields of its manifest."""
        name = f"bundle-{time.monotonic_ns()}"
        deploy_folder(self.home, write_bundle(self.home / name, **changes).root, endpoint=ENDPOINT)

    def start(self) -> None:
        """Start it, and return once it listens."""
        self.home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "chest_xray.cli", "serve", "--endpoint", ENDPOINT, "--port", self._port]
        env = environment() | {"CXR_HOME": str(self.home), "OMP_NUM_THREADS": "1"}
        with (self.home / "serve.log").open("ab") as log:
            said = log.tell()
            self._process = subprocess.Popen([*command, *self._arguments], env=env, stderr=log)
        self._port = self._await_port(said)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=START_SECONDS)
            self._process = None

    def _await_port(self, said: int) -> str:
        assert self._process is not None
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            # The server says where it listens once it does.
            if found := re.search(r"\bat http://\S+:(\d+)", self.log[said:]):
                return found.group(1)
            time.sleep(0.05)
        raise AssertionError(f"The server did not start:\n{self.log}")
