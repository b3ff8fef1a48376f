"""The commands from shards to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chest_xray.backends import get_backend, get_training_jobs
from chest_xray.cli.groups import CommandWithSubcommands
from chest_xray.cli.options import (
    BackendOption,
    Data,
    DryRun,
    Json,
    Place,
    Run,
    chosen_settings,
    optional_options_from,
    options_from,
)
from chest_xray.console import print_json, say
from chest_xray.errors import SettingsError
from chest_xray.export.footprint import Rates
from chest_xray.locations import read_location
from chest_xray.settings import SageMakerSettings, load_settings
from chest_xray.training.config import TrainConfig

train = typer.Typer(cls=CommandWithSubcommands, invoke_without_command=True)
JobName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the training job.")]
JobRun = Annotated[
    Path | None, typer.Option("--output", help="Folder of the run; by default the one that the job was started for.")
]


@optional_options_from(SageMakerSettings, "sagemaker", panel="With --backend sagemaker; CXR_SAGEMAKER_* by default")
@options_from(TrainConfig, "config")
def train_run(
    data: Place,
    output: Annotated[Path, typer.Option(help="Folder of the run; a run that stopped goes on.")],
    config: dict[str, Any],
    sagemaker: dict[str, Any],
    backend: BackendOption = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Train DenseNet121. Killed at any step, the same command goes on and ends in the same weights.

    On SageMaker it is a job: Ctrl-C leaves it running.

    Example: cxr train --data data/shards --output runs/first --init imagenet --backbone-lr-scale 0.1
    """
    settings = chosen_settings(backend)
    wanted, place = TrainConfig.from_hyperparameters(config), read_location(data)
    if dry_run:
        if settings.backend == "local":
            raise SettingsError("--dry-run prints requests to AWS: add --backend sagemaker, or leave it out.")
        print_json(get_training_jobs(settings, sagemaker).plan(place, output, wanted))
        return
    _show(get_backend(settings, sagemaker).train(place, output, wanted), json)


train.callback()(train_run)


@train.command()
def attach(name: JobName, output: JobRun = None, json: Json = False) -> None:
    """Follow a training job on SageMaker to its end and fetch its run.

    Example: cxr train attach first-0f3a91bc-261126093000-7c1e
    """
    _show(get_training_jobs(load_settings()).attach(name, output), json)


@train.command()
def stop(name: JobName) -> None:
    """Stop a training job on SageMaker; it has two minutes to save a checkpoint.

    Example: cxr train stop first-0f3a91bc-261126093000-7c1e
    """
    status = get_training_jobs(load_settings()).stop(name)
    say(f"{name} is {status}." + (f" To go on with it: cxr train resume {name}" if status != "Completed" else ""))


@train.command()
def resume(
    name: JobName,
    output: JobRun = None,
    on_demand: Annotated[bool, typer.Option("--on-demand", help="Not on spot instances.")] = False,
    json: Json = False,
) -> None:
    """Go on with a stopped training job on SageMaker, from its checkpoints, as a job of its own.

    Example: cxr train resume first-0f3a91bc-261126093000-7c1e
    """
    _show(get_training_jobs(load_settings()).resume(name, output, on_demand=on_demand), json)


def _show(run: Path, json: bool) -> None:
    if json:
        from chest_xray.training.run import RunFolder

        print_json(RunFolder(run).record().model_dump(mode="json"))


@options_from(Rates, "rates")
def export(run: Run, data: Data, rates: dict[str, Any], json: Json = False) -> None:
    """Write the bundle: the ONNX graph held to PyTorch, and all that travels with it.

    Example: cxr export --run runs/first --data data/shards
    """
    from chest_xray.export.export import export as write

    bundle = write(run, data, Rates.from_options(rates))
    if json:
        print_json({"bundle": str(bundle.root), "digest": bundle.digest, "mean_auroc": bundle.manifest.mean_auroc})
    say(f"Bundle {bundle.digest[:12]}: {bundle.root}")
