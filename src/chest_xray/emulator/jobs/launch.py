"""Starting a container: as a process of this machine, or inside its built image."""

from __future__ import annotations

import configparser
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chest_xray.emulator.built_image import BuiltImage
from chest_xray.emulator.jobs.container import Container, ImageContainer
from chest_xray.emulator.jobs.enter_image import Order
from chest_xray.emulator.jobs.opt_ml import inside
from chest_xray.emulator.runtime import Runtime, clean_environment


@dataclass(frozen=True, slots=True)
class Launch:
    """What a request says of one container.

    Attributes:
        image: the image's name.
        entry: replaces the image's own.
        arguments: for the entry.
        own: variables that SageMaker sets.
        asked: the request's variables.
        region: of the job.
        isolated: without network and credentials.
    """

    image: str
    entry: Sequence[str] | None
    arguments: Sequence[str]
    own: Mapping[str, str]
    asked: Mapping[str, str]
    region: str
    isolated: bool


def start(launch: Launch, runtime: Runtime, root: Path, on_line: Callable[[str], None]) -> Container:
    """Start it; `root` is what it finds at /opt/ml.

    Raises:
        EmulatorError: the image names nothing to run.
    """
    built = runtime.images.built_image(launch.image)
    if built is None:
        return _start_process(launch, runtime, root, on_line)
    return _start_in_image(launch, built, runtime, root, on_line)


def _start_process(launch: Launch, runtime: Runtime, root: Path, on_line: Callable[[str], None]) -> Container:
    home = root / "home"
    (home / "tmp").mkdir(parents=True)
    credentials: Mapping[str, str] = {} if launch.isolated else runtime.credentials
    asked = {name: inside(value, root) for name, value in launch.asked.items()}
    environment = {**clean_environment(home, launch.region), **launch.own, **credentials, **asked}
    return Container([inside(word, root) for word in _process_words(launch, runtime)], environment, root, on_line)


def _process_words(launch: Launch, runtime: Runtime) -> list[str]:
    if launch.entry is not None:
        return [*launch.entry, *launch.arguments]
    return list(runtime.images.command(launch.image, launch.arguments) or ())


def _start_in_image(
    launch: Launch, image: BuiltImage, runtime: Runtime, root: Path, on_line: Callable[[str], None]
) -> Container:
    credentials = {} if launch.isolated else _credentials_without_file(runtime.credentials)
    region = {"AWS_REGION": launch.region, "AWS_DEFAULT_REGION": launch.region}
    order = Order(
        root=str(image.root),
        opt_ml=str(root),
        folder=image.folder,
        words=image.words(launch.arguments, launch.entry),
        environment=image.environment | region | dict(launch.own) | credentials | dict(launch.asked),
        isolated=launch.isolated,
    )
    # Beside what the container sees.
    path = root.with_name(f"{root.name}.json")
    order.write(path)
    namespaces = ["--mount", "--pid", "--fork", "--kill-child=KILL", *(["--net"] if launch.isolated else [])]
    enter = [sys.executable, "-m", "chest_xray.emulator.jobs.enter_image", str(path)]
    unshare = shutil.which("unshare") or "unshare"
    return ImageContainer([unshare, *namespaces, "--", *enter], clean_environment(root, launch.region), root, on_line)


def _credentials_without_file(variables: Mapping[str, str]) -> dict[str, str]:
    """The emulator's variables for a container that does not see its folder: the keys themselves."""
    others = dict(variables)
    if (file := others.pop("AWS_SHARED_CREDENTIALS_FILE", None)) is None:
        return others
    parser = configparser.RawConfigParser()
    parser.read(file)
    keys = ("aws_access_key_id", "aws_secret_access_key")
    return others | {name.upper(): parser.get("default", name) for name in keys}
