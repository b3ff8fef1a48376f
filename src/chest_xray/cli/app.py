"""`cxr`: its commands in the order of the flow. Heavy libraries are imported by the step that needs them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import chest_xray
from chest_xray.cli.compare import compare
from chest_xray.cli.compress import compress
from chest_xray.cli.data import download_nih, phantom, prepare_data
from chest_xray.cli.doctor import doctor
from chest_xray.cli.emulator import emulator
from chest_xray.cli.endpoint import deploy, predict, score, serve
from chest_xray.cli.evaluate import evaluate
from chest_xray.cli.keys import keys
from chest_xray.cli.monitor import monitor
from chest_xray.cli.registry import approve, models, register, reject
from chest_xray.cli.robustness import robustness
from chest_xray.cli.test_time import ensemble, measure_options
from chest_xray.cli.train import export, train
from chest_xray.console import say
from chest_xray.errors import ChestXrayError
from chest_xray.files import DISK_FULL
from chest_xray.notices import RESEARCH_USE_ONLY


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"cxr {chest_xray.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


class _Flow(TyperGroup):
    """The commands in the order of the flow: Typer puts those with subcommands last."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        names = [name for name in self.commands if name != "train"]
        names.insert(names.index("prepare-data") + 1, "train")
        self.commands = {name: self.commands[name] for name in names}


app = typer.Typer(
    name="cxr",
    cls=_Flow,
    help=f"From a folder of chest radiographs to a monitored endpoint. {RESEARCH_USE_ONLY}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(_root)
app.command()(phantom)
app.command()(download_nih)
app.command()(prepare_data)
app.add_typer(train, name="train")
app.command()(evaluate)
app.command()(export)
app.command()(ensemble)
app.command()(compress)
app.command("test-time")(measure_options)
app.command()(robustness)
app.command()(compare)
app.command()(register)
app.command()(models)
app.command()(approve)
app.command()(reject)
app.command()(deploy)
app.command()(predict)
app.command()(score)
app.command()(serve)
app.command()(doctor)
app.add_typer(monitor, name="monitor")
app.add_typer(emulator, name="emulator")
app.add_typer(keys, name="keys")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `cxr` and leave the process: 0 done, 2 for what a user can mend, 3 for a stopped job, 130 after Ctrl-C."""
    try:
        app(args=None if arguments is None else list(arguments))
    except ChestXrayError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        _fail(_describe_os_error(error))


def _fail(message: str, exit_code: int = 2) -> None:
    say(f"error: {message}")
    sys.exit(exit_code)


def _describe_os_error(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in DISK_FULL:
        return f"the disk is full{where}: nothing half-written was kept. Free some space and run the command again."
    return f"{error.strerror or error}{where}."
