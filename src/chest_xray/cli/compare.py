"""`cxr compare`, and the options of `cxr register` that feed the promotion gate."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from chest_xray.backends import get_backend
from chest_xray.cli.options import Json, Rounds, data_option
from chest_xray.console import print_json, say
from chest_xray.errors import SettingsError
from chest_xray.settings import Settings, load_settings
from chest_xray.statistics import ROUNDS

if TYPE_CHECKING:
    from chest_xray.bundle import Bundle
    from chest_xray.evaluation.comparison.results import Comparison

_DATA_HELP: Final = "Shards with the test images; once for each image size."
_REGISTERED: Final = re.compile(r"([a-zA-Z0-9-]{1,63}):([1-9][0-9]{0,8})")

TestData = Annotated[list[Path] | None, data_option(_DATA_HELP)]
Force = Annotated[
    str | None, typer.Option("--force", metavar="REASON", help="Register what the gate does not let in, and why.")
]
Side = Annotated[str, typer.Argument(help="Folder of a bundle, or NAME:VERSION in the registry.")]


def compare(
    a: Side,
    b: Side,
    data: Annotated[list[Path], data_option(_DATA_HELP)],
    rounds: Rounds = ROUNDS,
    output: Annotated[
        Path | None, typer.Option(help="Folder for comparison.json and a plot; by default none is written.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare bundle B with bundle A on the same test images: findings, mean and groups of patients.

    Example: cxr compare chest-xray:1 runs/second/bundle --data data/shards
    """
    from chest_xray.cli.tables import comparison_tables, print_table
    from chest_xray.evaluation.comparison.compare_bundles import compare_bundles

    settings = load_settings()
    with tempfile.TemporaryDirectory(prefix="cxr-compare-") as folder:
        sides = [_open_bundle(name, settings, Path(folder) / str(n)) for n, name in enumerate((a, b))]
        result = compare_bundles(sides[0], sides[1], data, rounds=rounds)
    if json:
        print_json(result.model_dump(mode="json") | {"verdict": result.verdict})
    else:
        for table in comparison_tables(result):
            print_table(table)
        for note in result.notes:
            say(f"Note: {note}")
        say(result.verdict)
    if output is not None:
        _write(result, output)


def _open_bundle(name: str, settings: Settings, into: Path) -> tuple[str, Bundle]:
    from chest_xray.bundle import load_bundle

    if Path(name).is_dir():
        return name, load_bundle(Path(name))
    match = _REGISTERED.fullmatch(name)
    if match is None:
        raise SettingsError(f"{name} is no folder and no NAME:VERSION, for example chest-xray:1. Give one of the two.")
    into.mkdir()
    return name, load_bundle(get_backend(settings).fetch(match[1], int(match[2]), into))


def _write(result: Comparison, output: Path) -> None:
    from chest_xray.evaluation.comparison.plot import plot_comparison
    from chest_xray.files import write_atomically

    write_atomically(output / "comparison.png", plot_comparison(result))
    write_atomically(output / "comparison.json", result.model_dump_json(indent=2).encode())
    say(f"Written to {output}: comparison.json, comparison.png.")
