"""`cxr ensemble` and `cxr test-time`: several networks, or several looks at a film, and what they gain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chest_xray.cli.options import Json, Rounds, data_option
from chest_xray.console import print_json, say
from chest_xray.statistics import ROUNDS

if TYPE_CHECKING:
    from rich.table import Table

    from chest_xray.export.test_time.report import TestTime


def ensemble(
    bundles: Annotated[list[Path], typer.Argument(help="Folders of two bundles or more, from export.")],
    data: Annotated[Path, data_option("The shards of their training.")],
    output: Annotated[Path, typer.Option(help="New folder for the bundle.")],
    rounds: Rounds = ROUNDS,
    json: Json = False,
) -> None:
    """Make one bundle of several: one graph, mean logits and heat maps, calibrated and evaluated anew.

    Example: cxr ensemble runs/first/bundle runs/second/bundle --data data/shards --output runs/both
    """
    from chest_xray.export.ensemble.ensemble import ensemble as run

    done = run(bundles, data, output, rounds=rounds)
    if json:
        print_json({"bundle": str(output), "digest": done.bundle.digest, "report": done.report.model_dump(mode="json")})
    say(f"Bundle {done.bundle.digest[:12]}: {output}. Register it as any other.")


def measure_options(
    bundle: Annotated[list[Path], typer.Option(help="Folder of a bundle; once more for each other ensemble member.")],
    data: Annotated[Path, data_option("Shards with the test images.")],
    images: Annotated[int | None, typer.Option(min=1, help="Of the test list, evenly spaced; by default all.")] = None,
    rounds: Rounds = ROUNDS,
    output: Annotated[Path | None, typer.Option(help="Folder for test_time.json; by default none is written.")] = None,
    json: Json = False,
) -> None:
    """Measure what flips, crops and an ensemble gain in AUROC, and what they cost in time. Nothing is switched on.

    Example: cxr test-time --bundle runs/first/bundle --bundle runs/second/bundle --data data/shards
    """
    from chest_xray.cli.tables import print_table
    from chest_xray.export.test_time.measure import measure_test_time
    from chest_xray.files import write_atomically

    found = measure_test_time(bundle, data, images=images, rounds=rounds)
    if json:
        print_json(found.model_dump(mode="json"))
    else:
        print_table(_table(found))
    for note in found.notes:
        say(f"Note: {note}")
    if output is not None:
        write_atomically(output / "test_time.json", found.model_dump_json(indent=2).encode())
        say(f"Written to {output}: test_time.json.")


def _table(found: TestTime) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from chest_xray.evaluation.comparison.results import describe_difference
    from chest_xray.notices import RESEARCH_USE_ONLY, describe_source

    source = describe_source(found.label_version)
    table = Table(
        title=f"{found.images} {source} of the test list, {found.patients} patients; plain: {found.plain_ms:.0f} ms",
        caption=f"95% intervals of the paired difference to the plain film, {found.rounds} bootstrap rounds over "
        f"patients. Medians of {found.timed_films} films on {found.threads} processors.\n{RESEARCH_USE_ONLY}",
        box=SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("option", no_wrap=True)
    for name in ("mean AUROC", "less plain (95%)", "p", "ms", "cost", "maps"):
        table.add_column(name, justify="right")
    for row in found.options:
        mean = row.mean
        auroc, p = ("n/a" if value is None else f"{value:.3g}" for value in (mean.b, mean.p))
        table.add_row(
            row.name, auroc, describe_difference(mean), p, f"{row.ms:.0f}", f"{row.cost:.1f}", f"{row.maps.mean:.3f}"
        )
    return table
