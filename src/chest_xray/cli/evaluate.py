"""`cxr evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chest_xray.cli.options import Json, Rounds, data_option
from chest_xray.console import print_json, say
from chest_xray.errors import SettingsError
from chest_xray.settings import load_settings
from chest_xray.statistics import ROUNDS

if TYPE_CHECKING:
    from chest_xray.evaluation.results import Evaluation


def evaluate(
    run: Annotated[Path | None, typer.Option("--run", help="Folder of a training run.")] = None,
    data: Annotated[Path | None, data_option()] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="predictions.parquet of an evaluation, to measure again without the network.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="With --predictions: folder for the files.")] = None,
    aim: Annotated[
        str, typer.Option(help="Of operating points, chosen on validation images: youden, f1 or sensitivity=0.9.")
    ] = "youden",
    prior: Annotated[
        str,
        typer.Option(
            help="Prevalence that probabilities are for: validation, test (the test list's), a number, or a JSON file "
            "of numbers by finding."
        ),
    ] = "validation",
    rounds: Rounds = ROUNDS,
    json: Json = False,
) -> None:
    """Calibrate a run on validation images, and measure it on the test list: all of it, and by groups of patients.

    Example: cxr evaluate --run runs/first --data data/shards --aim sensitivity=0.9
    """
    from_run = run is not None and data is not None and predictions is None and output is None
    if not from_run and not (predictions is not None and run is None and data is None):
        raise SettingsError("Give --run and --data, or --predictions, with --output if files are wanted.")
    from chest_xray.evaluation.calibration.operating_points import check_aim
    from chest_xray.evaluation.calibration.priors import parse_prior
    from chest_xray.evaluation.measure import Choices

    choices = Choices(aim=check_aim(aim), prior=parse_prior(prior), rounds=rounds)
    if run is not None and data is not None:
        from chest_xray.evaluation.evaluate import evaluate as measure

        _show(measure(run, data, load_settings(), choices), run / "evaluation", json=json)
    elif predictions is not None:
        from chest_xray.evaluation.files import evaluate_file

        _show(evaluate_file(predictions, output, choices), output, json=json)


def _show(result: Evaluation, written: Path | None, *, json: bool) -> None:
    from chest_xray.cli.tables import evaluation_tables, print_table

    if json:
        print_json(result.model_dump(mode="json"))
        return
    for table in evaluation_tables(result):
        print_table(table)
    for warning in result.warnings:
        say(f"Note: {warning}")
    if written is not None:
        say(f"Written to {written}: report.html, evaluation.json, predictions.parquet and plots.")
