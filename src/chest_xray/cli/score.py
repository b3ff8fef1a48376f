"""`cxr score`: a folder of films to a table."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import uuid4

import typer

from chest_xray.backends import get_backend
from chest_xray.cli.options import EndpointName, Json, user_name
from chest_xray.console import print_json, say
from chest_xray.errors import SettingsError
from chest_xray.settings import DEFAULT_MODEL, load_settings

if TYPE_CHECKING:
    from chest_xray.batch.run import Summary

SOME_REFUSED: Final = 4


def score(
    source: Annotated[Path, typer.Option(help="Folder of films, DICOM, PNG or JPEG, with the folders below it.")],
    output: Annotated[Path, typer.Option(help="Folder for scores.parquet; a run that stopped goes on.")],
    endpoint: EndpointName = DEFAULT_MODEL,
    threads: Annotated[int | None, typer.Option(min=1, help="Films at once; by default one a processor.")] = None,
    json: Json = False,
) -> None:
    """Score a folder of films with the deployed model, a row of a Parquet file each. Killed, the same command goes on.

    A film that cannot be read has a row that says why, and exit code 4 says that there are some. Each film has a line
    in the audit log.

    Example: cxr score --source night/ --output scores/night
    """
    try:
        from chest_xray.batch.run import score_folder
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"Scores are written with {error.name}: pip install 'chest-xray-classifier[train]'."
        ) from error
    from chest_xray.inference.scoring import Order
    from chest_xray.records.audit import FileAudit

    settings = load_settings()
    predictor = get_backend(settings).predictor(endpoint)
    order = Order(f"cli:{user_name()}", str(uuid4()))
    try:
        found = score_folder(
            predictor, source, output, order, audit=FileAudit.open(settings.home_dir), threads=threads
        )  # fmt: skip
    except KeyboardInterrupt:
        say(f"Stopped; what was scored is kept. To go on: cxr score --source {source} --output {output}")
        raise
    if json:
        print_json(asdict(found) | {"scores": str(found.scores)})
    say(_sentence(found))
    if found.refused:
        raise typer.Exit(SOME_REFUSED)


def _sentence(found: Summary) -> str:
    rate = f" ({found.now / found.seconds:.1f} films/s)" if found.now and found.seconds else ""
    refused = ", ".join(f"{count} {code}" for code, count in found.refused.items())
    return (
        f"{found.scored} of {found.films} films scored{rate}: {found.flagged} with a flagged finding, {found.withheld} "
        f"withheld, to be read by yourself{f'; refused: {refused}' if refused else ''}. {found.scores}"
    )
