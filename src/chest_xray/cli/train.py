"""The commands from shards to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chest_xray.backends import get_backend
from chest_xray.cli.options import Data, Json, Run, options_from
from chest_xray.console import print_json, say
from chest_xray.export.footprint import Rates
from chest_xray.settings import load_settings
from chest_xray.training.config import TrainConfig


@options_from(TrainConfig, "config")
def train(
    data: Data,
    output: Annotated[Path, typer.Option(help="Folder of the run; a run that stopped goes on.")],
    config: dict[str, Any],
    json: Json = False,
) -> None:
    """Train DenseNet121. Killed at any step, the same command goes on and ends in the same weights.

    Example: cxr train --data data/shards --output runs/first --init imagenet --backbone-lr-scale 0.1
    """
    run = get_backend(load_settings()).train(data, output, TrainConfig.from_hyperparameters(config))
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
