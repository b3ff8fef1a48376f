"""The commands that make the data."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from chest_xray.backends import get_backend, get_preparer
from chest_xray.cli.options import BackendOption, DryRun, Json, Workers, chosen_settings, optional_options_from
from chest_xray.console import print_json, say
from chest_xray.errors import SettingsError
from chest_xray.locations import read_location, require_s3
from chest_xray.settings import ProcessingSettings


def phantom(
    output: Annotated[Path, typer.Argument(help="New folder in NIH format.")],
    images: Annotated[int, typer.Option(min=1, help="Films in all.")] = 4000,
    size: Annotated[int, typer.Option(help="Side of a film in pixels, 128 to 1024.")] = 512,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other patients.")] = 0,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Draw a synthetic NIH-format folder: no download, no patient.

    Example: cxr phantom data/phantom --images 4000 --size 512
    """
    from chest_xray.data.phantom import write_phantom

    report = write_phantom(output, images=images, size=size, seed=seed, workers=workers)
    if json:
        print_json(asdict(report) | {"output": str(report.output)})
    elif report.drawn:
        say(f"Drew {report.images} phantom films of {report.patients} patients: {output}")
    else:
        say(f"{output} holds this phantom already: nothing to do.")


def download_nih(
    directory: Annotated[Path, typer.Argument(help="Folder for the archives; needs 42 GB.")],
    json: Json = False,
) -> None:
    """Fetch the 12 archives of NIH ChestX-ray14, or go on where a download stopped.

    Example: cxr download-nih data/nih
    """
    from chest_xray.data.download import download_nih as fetch

    report = fetch(directory)
    if json:
        print_json(asdict(report) | {"directory": str(directory)})


@optional_options_from(ProcessingSettings, "processing", panel="With --backend sagemaker; CXR_SAGEMAKER_* by default")
def prepare_data(
    source: Annotated[
        str,
        typer.Option(help="NIH-format folder, unpacked or with its archives; on SageMaker also s3://BUCKET/PREFIX."),
    ],
    output: Annotated[str, typer.Option(help="Folder for shards and index; on SageMaker s3://BUCKET/PREFIX.")],
    processing: dict[str, Any],
    image_size: Annotated[int, typer.Option(help="Side of the stored images; the network takes the same.")] = 256,
    workers: Workers = None,
    backend: BackendOption = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Decode and resize every film once, into shards that training reads without decoding.

    On SageMaker several instances share the films; the shards are the same bytes. The same command goes on.

    Example: cxr prepare-data --source data/nih --output data/shards --image-size 256
    """
    settings = chosen_settings(backend)
    films, place = read_location(source), read_location(output)
    if dry_run:
        if settings.backend == "local":
            raise SettingsError("--dry-run prints requests to AWS: add --backend sagemaker, or leave it out.")
        there = require_s3(films, "--source"), require_s3(place, "--output")
        print_json(get_preparer(processing).plan(*there, image_size=image_size))
        return
    report = get_backend(settings, processing=processing).prepare(films, place, image_size=image_size, workers=workers)
    if json:
        print_json(asdict(report) | {"output": str(report.output)})
    else:
        counts = ", ".join(f"{count} {split}" for split, count in report.splits.items())
        rejected = f"{report.rejected} rejected (see {place / 'rejected.csv'})" if report.rejected else "none rejected"
        say(f"{output}: {counts}; {rejected}, {report.absent} absent.")
