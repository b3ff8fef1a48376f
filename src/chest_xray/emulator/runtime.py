"""What every job of the emulator needs: where it may write, which images there are, how to reach S3 and the logs."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from chest_xray.errors import EmulatorError

Verb = Literal["train", "serve"]
OPT_ML: Final = "/opt/ml"
_SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OWN_IMAGE: Final = "chest-xray"
_OWN_COMMANDS: Final[Mapping[Verb, tuple[str, ...]]] = {
    "train": (sys.executable, "-m", "chest_xray.training.container", "--root", OPT_ML),
    "serve": (sys.executable, "-m", "chest_xray.inference.container", "serve"),
}


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. `grace` is between SIGTERM and SIGKILL, `restart` between a spot interruption and the next start."""

    tick: float = 0.05
    sync: float = 1.0
    grace: float = 120.0
    restart: float = 0.5


@dataclass(frozen=True, slots=True)
class Images:
    """The images that the emulator's registry holds, as commands. A name is the repository's, without registry or tag.

    The project's own image is there under `chest-xray`.
    """

    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, options: list[str]) -> Images:
        """Read NAME=COMMAND options; the command is split as a shell does.

        Raises:
            EmulatorError: one has another form.
        """
        commands: dict[str, tuple[str, ...]] = {}
        for option in options:
            name, _, command = option.partition("=")
            if not name or not command.strip():
                raise EmulatorError(f"--image is {option!r}: expected NAME=COMMAND, such as sleeper='sleep 60'.")
            commands[name] = tuple(shlex.split(command))
        return cls(commands)

    def command(self, image: str, verb: Verb) -> tuple[str, ...] | None:
        """What `docker run IMAGE train` or `serve` would run; None where there is no such image."""
        repository = image.rsplit("/", 1)[-1].partition("@")[0].partition(":")[0]
        if repository in self.commands:
            return (*self.commands[repository], verb)
        return _OWN_COMMANDS[verb] if repository == _OWN_IMAGE else None


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a job gets.

    Attributes:
        folder: where jobs keep their files; deleted with the emulator.
        connect: an AWS client of the emulator itself, by service and region.
        credentials: the variables that point a container's AWS client at the emulator.
        images: the registry's images.
        pace: how fast it looks.
    """

    folder: Path
    connect: Callable[[str, str], Any]
    credentials: Mapping[str, str]
    images: Images = field(default_factory=Images)
    pace: Pace = field(default_factory=Pace)


def clean_environment(home: Path, region: str) -> dict[str, str]:
    """What a container finds before its request's own variables: nothing of the user's."""
    return {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), _SYSTEM_PATH)),
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }
