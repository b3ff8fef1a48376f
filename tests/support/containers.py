"""Containers of the built images: the emulator's own runtime, and what a test asks of a running one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from tests.support.built_images import build, storage_variables

from chest_xray.emulator.built_image import BuiltImage
from chest_xray.emulator.jobs.container import Container
from chest_xray.emulator.jobs.launch import Launch, start
from chest_xray.emulator.runtime import Images, Runtime


class Running:
    """A container with its root read-only and /tmp in memory, its lines as they come."""

    def __init__(self, container: Container, lines: list[str]) -> None:
        self.container, self.lines = container, lines

    def wait(self, seconds: float = 120) -> int:
        """The exit code of a container that ends by itself."""
        until = time.monotonic() + seconds
        while (code := self.container.exit_code()) is None:
            assert time.monotonic() < until, self.lines
            time.sleep(0.05)
        self.container.kill()
        return code

    def stop(self, seconds: float = 30) -> int:
        """The exit code after SIGTERM."""
        self.container.terminate()
        return self.wait(seconds)


@contextmanager
def mounted_images(*targets: str) -> Iterator[Images]:
    """An emulator's registry that holds the built targets under their own names."""
    images = Images(references={target: build(target) for target in targets})
    with patch.dict(os.environ, storage_variables()):
        images.open()
        try:
            yield images
        finally:
            images.close()


def image(images: Images, target: str) -> BuiltImage:
    found = images.built_image(target)
    assert found is not None
    return found


@contextmanager
def running(
    images: Images,
    target: str,
    verb: str,
    opt_ml: Path,
    *,
    entry: Sequence[str] | None = None,
    isolated: bool = False,
    **variables: str,
) -> Iterator[Running]:
    """A container of a target; `opt_ml` is its /opt/ml."""
    launch = Launch(
        image=target,
        entry=entry,
        arguments=[] if entry else [verb],
        own={},
        asked=variables,
        region="us-east-1",
        isolated=isolated,
    )
    lines: list[str] = []
    runtime = Runtime(opt_ml.parent, lambda *_: None, {}, images)
    container = start(launch, runtime, opt_ml, lines.append)
    try:
        yield Running(container, lines)
    finally:
        container.kill()
