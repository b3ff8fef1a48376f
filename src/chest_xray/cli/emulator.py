"""`cxr emulator`: SageMaker on this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from typing import Annotated

import typer

from chest_xray.cli.groups import CommandWithSubcommands
from chest_xray.console import say
from chest_xray.errors import EmulatorError
from chest_xray.settings import load_emulator_settings

emulator = typer.Typer(cls=CommandWithSubcommands, invoke_without_command=True)
_END = "# To end it: cxr emulator stop"


@emulator.callback()
def start(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    region: Annotated[str, typer.Option(help="Region of its first bucket and of clients without one.")] = "us-east-1",
    image: Annotated[
        list[str] | None,
        typer.Option(
            help="A container image: NAME=COMMAND, what its entry runs here, or NAME=buildah:REFERENCE, built, as root."
        ),
    ] = None,
    throttle: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of SageMaker's and the logs' answers that are refused.")
    ] = 0.0,
    background: Annotated[bool, typer.Option("--background", help="Return when it answers.")] = False,
) -> None:
    """Start SageMaker on this machine: training jobs run as processes. No account, no Docker; on loopback only.

    It prints the lines that point any AWS client at it. All it keeps is deleted when it ends.

    Example: cxr emulator --port 5000
    """
    if background:
        _start_in_background(port, region, image or [], throttle)
        return
    _serve(port, region, image or [], throttle)


@emulator.command()
def reclaim(job: Annotated[str, typer.Argument(help="Name of a training job on spot instances.")]) -> None:
    """Take a job's spot instances away: its processes are gone at once, and start again from the synced checkpoints.

    Example: cxr emulator reclaim chest-xray-first-0f3a
    """
    from chest_xray.emulator.orders import order

    order(load_emulator_settings(), "reclaim", job)
    say(f"The instances of {job} are gone; it goes on from its last synced checkpoint.")


@emulator.command()
def stop() -> None:
    """End the emulator, its jobs and all it keeps.

    Example: cxr emulator stop
    """
    from chest_xray.emulator.orders import order

    order(load_emulator_settings(), "stop")
    say("The emulator ends, and deletes what it kept.")


def _serve(port: int, region: str, images: list[str], throttle: float) -> None:
    try:
        from chest_xray.emulator.runtime import Images
        from chest_xray.emulator.server import Emulator
    except ModuleNotFoundError as error:
        raise EmulatorError(
            f"The emulator needs {error.name}: pip install 'chest-xray-classifier[emulator]'."
        ) from error

    with Emulator(port=port, region=region, images=Images.read(images), throttle=throttle) as running:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: running.stopped.set())
        typer.echo("\n".join([*running.lines(), _END]))
        sys.stdout.flush()
        say(f"SageMaker, S3 and the rest answer at {running.url}. Ctrl-C ends it and deletes what it kept.")
        running.stopped.wait()


def _start_in_background(port: int, region: str, images: list[str], throttle: float) -> None:
    command = [sys.executable, "-m", "chest_xray.cli", "emulator", f"--port={port}", f"--region={region}"]
    command += [f"--throttle={throttle}", *(f"--image={image}" for image in images)]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 (this program, with the options it was given)
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True, text=True
        )
        lines = []
        if process.stdout is not None:
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if lines[-1] == _END:
                    typer.echo("\n".join(lines))
                    return
        process.wait()
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
        raise EmulatorError(said[-1].removeprefix("error: ") if said else "The emulator ended before it answered.")
