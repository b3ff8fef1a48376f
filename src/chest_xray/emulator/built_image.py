"""A container image that was built: its files as a folder, and what its configuration says is run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chest_xray.errors import EmulatorError

SCHEME: Final = "buildah:"
_NEEDED: Final = ("buildah", "unshare", "mount")
# Mount points that an image need not have.
_FOLDERS: Final = ("dev", "opt/ml", "proc", "sys", "tmp")
_FILES: Final = ("etc/hosts", "etc/resolv.conf")


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image of buildah's storage, mounted. `container` is the working container that buildah keeps for it.

    Attributes:
        root: its files.
        entry: ENTRYPOINT.
        command: CMD, which a runtime's arguments replace.
        environment: ENV.
        folder: WORKDIR.
    """

    root: Path
    container: str
    entry: tuple[str, ...]
    command: tuple[str, ...]
    environment: dict[str, str]
    folder: str

    @classmethod
    def open(cls, reference: str) -> BuiltImage:
        """Mount the image `reference`; `close` is to be called.

        Raises:
            EmulatorError: this user or machine cannot, or buildah has no such image.
        """
        _check_machine(reference)
        config = _read_config(reference)
        container = _buildah("from", "--pull-never", reference)
        root = Path(_buildah("mount", container))
        for name in _FOLDERS:
            (root / name).mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            (root / name).touch()
        return cls(
            root=root,
            container=container,
            entry=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            environment=dict(pair.split("=", 1) for pair in config.get("Env") or ()),
            folder=config.get("WorkingDir") or "/",
        )

    def close(self) -> None:
        """Unmount it, and delete what was written to it."""
        _buildah("umount", self.container)
        _buildah("rm", self.container)

    def words(self, arguments: Sequence[str], entry: Sequence[str] | None = None) -> list[str]:
        """What `docker run IMAGE ARGUMENTS` runs; `entry` replaces ENTRYPOINT, as `--entrypoint` does.

        Raises:
            EmulatorError: nothing is left to run.
        """
        words = [*(self.entry if entry is None else entry), *arguments]
        if not words:
            raise EmulatorError("The image has no ENTRYPOINT, and the request names no command.")
        return words


def _check_machine(reference: str) -> None:
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        raise EmulatorError(f"Running {reference} needs {missing[0]}, which is not installed here.")
    if os.geteuid() != 0:
        raise EmulatorError(
            f"Running {reference} needs root, for chroot and mount: start the emulator as root, or give --image "
            "NAME=COMMAND."
        )


def _read_config(reference: str) -> dict[str, Any]:
    found = json.loads(_buildah("inspect", "--type", "image", reference))
    config: dict[str, Any] = found["OCIv1"].get("config", {})
    return config


def _buildah(*arguments: str) -> str:
    done = subprocess.run(["buildah", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise EmulatorError(f"buildah {arguments[0]}: {lines[-1]}")
    return done.stdout.strip()
