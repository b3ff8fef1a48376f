"""What every job of the emulator needs: where it may write, which images there are, how to reach S3 and the logs."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from chest_xray.emulator.built_image import SCHEME, BuiltImage
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


class Images:
    """The images that the emulator's registry holds. A name is the repository's, without registry or tag.

    An image is a command of this machine, or was built and lies in buildah's storage (`buildah:REFERENCE`). The
    project's own is there under `chest-xray`, as this installation's commands.
    """

    def __init__(
        self, commands: Mapping[str, tuple[str, ...]] | None = None, references: Mapping[str, str] | None = None
    ) -> None:
        self._commands, self._references = commands or {}, references or {}
        self._built: dict[str, BuiltImage] = {}

    @classmethod
    def read(cls, options: list[str]) -> Images:
        """Read NAME=COMMAND, split as a shell does, and NAME=buildah:REFERENCE.

        Raises:
            EmulatorError: one has another form.
        """
        commands: dict[str, tuple[str, ...]] = {}
        references: dict[str, str] = {}
        for option in options:
            name, _, command = option.partition("=")
            if not name or not command.removeprefix(SCHEME).strip():
                raise EmulatorError(
                    f"--image is {option!r}: expected NAME=COMMAND, such as sleeper='sleep 60', or "
                    f"NAME={SCHEME}REFERENCE, such as chest-xray={SCHEME}localhost/chest-xray:train."
                )
            if command.startswith(SCHEME):
                references[name] = command.removeprefix(SCHEME)
            else:
                commands[name] = tuple(shlex.split(command))
        return cls(commands, references)

    def open(self) -> None:
        """Mount the built images; `close` is to be called, also after an error.

        Raises:
            EmulatorError: one is not there, or cannot be mounted here.
        """
        for name, reference in self._references.items():
            self._built[name] = BuiltImage.open(reference)

    def close(self) -> None:
        """Unmount them."""
        while self._built:
            self._built.popitem()[1].close()

    def built_image(self, image: str) -> BuiltImage | None:
        """The built image of that name."""
        return self._built.get(_repository(image))

    def command(self, image: str, verb: Verb) -> tuple[str, ...] | None:
        """What `train` or `serve` runs as a process of this machine; None where the name is no command's."""
        repository = _repository(image)
        if repository in self._commands:
            return (*self._commands[repository], verb)
        return _OWN_COMMANDS[verb] if repository == _OWN_IMAGE else None

    def holds(self, image: str) -> bool:
        """Whether there is an image of that name."""
        return self.built_image(image) is not None or self.command(image, "train") is not None


def _repository(image: str) -> str:
    return image.rsplit("/", 1)[-1].partition("@")[0].partition(":")[0]


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
