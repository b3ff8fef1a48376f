"""What every job of the emulator needs: where it may write, which images there are, how to reach S3 and the logs."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chest_xray.emulator.built_image import SCHEME, BuiltImage
from chest_xray.errors import EmulatorError

OPT_ML: Final = "/opt/ml"
_SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OWN_IMAGE: Final = "chest-xray"
# What the entry of the project's images does at each of its words, without becoming another user.
_OWN_COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "train": (sys.executable, "-m", "chest_xray.training.container", "--root", OPT_ML),
    "serve": (sys.executable, "-m", "chest_xray.inference.container", "serve"),
    "prepare-data": (sys.executable, "-m", "chest_xray.data.prepare.container", "--root", OPT_ML),
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

    def command(self, image: str, arguments: Sequence[str]) -> tuple[str, ...] | None:
        """What an image's entry with these arguments runs as a process of this machine; None where it is no command."""
        repository = _repository(image)
        if repository in self._commands:
            return (*self._commands[repository], *arguments)
        if repository != _OWN_IMAGE:
            return None
        word, *others = arguments or [""]
        return (*_OWN_COMMANDS[word], *others) if word in _OWN_COMMANDS else ("chest-xray-entry", word)

    def holds(self, image: str) -> bool:
        """Whether there is an image of that name."""
        return self.built_image(image) is not None or self.command(image, ()) is not None


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
