"""The commands that make the data."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from chest_xray.backends import get_backend
from chest_xray.cli.options import Json, Workers
from chest_xray.console import print_json, say
from chest_xray.settings import load_settings


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


def prepare_data(
    source: Annotated[Path, typer.Option(help="NIH-format folder, unpacked or with its archives.")],
    output: Annotated[Path, typer.Option(help="Folder for shards and index.")],
    image_size: Annotated[int, typer.Option(help="Side of the stored images; the network takes the same.")] = 256,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Decode and resize every film once, into shards that training reads without decoding.

    Example: cxr prepare-data --source data/nih --output data/shards --image-size 256
    """
    backend = get_backend(load_settings())
    report = backend.prepare(source, output, image_size=image_size, workers=workers)
    if json:
        print_json(asdict(report) | {"output": str(report.output)})
    else:
        counts = ", ".join(f"{count} {split}" for split, count in report.splits.items())
        rejected = f"{report.rejected} rejected (see {output / 'rejected.csv'})" if report.rejected else "none rejected"
        say(f"{output}: {counts}; {rejected}, {report.absent} absent.")
