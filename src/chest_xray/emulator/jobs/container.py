"""A container as a process: its command, a clean environment, its log line by line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class Container:
    """A started process with all its children, which are one process group."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], root: Path, on_line: Callable[[str], None]
    ) -> None:
        self.root = root
        self._process = subprocess.Popen(  # noqa: S603 (running what the request names is what a container runtime does)
            command,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(on_line,), daemon=True)
        self._reader.start()

    def exit_code(self) -> int | None:
        """None while it runs; 128 and the signal's number after a signal, as container runtimes say it."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def terminate(self) -> None:
        """SIGTERM to its first process, as a container runtime does: passing it on is that one's work."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self._process.pid

    def kill(self) -> None:
        """End every process of it at once, and read what was printed to the end."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        # A grandchild in a session of its own would keep the pipe open.
        self._reader.join(timeout=2)

    def _read(self, on_line: Callable[[str], None]) -> None:
        if self._process.stdout is not None:
            with self._process.stdout as lines:
                for line in lines:
                    on_line(line.decode("utf-8", "replace").rstrip("\r\n"))


class ImageContainer(Container):
    """A container behind `unshare --fork`, whose only child is the first process of the container's own namespace."""

    def terminate(self) -> None:
        """SIGTERM to that first process. `unshare` itself does not pass signals on."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
            for child in children.split():
                os.kill(int(child), signal.SIGTERM)
