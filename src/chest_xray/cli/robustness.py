"""`cxr robustness`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chest_xray.cli.options import Json, Rounds, data_option
from chest_xray.console import print_json, say

if TYPE_CHECKING:
    from rich.table import Table

    from chest_xray.bundle import Bundle
    from chest_xray.evaluation.robustness.measure import Warns
    from chest_xray.evaluation.robustness.report import Level, Robustness


def robustness(
    bundle: Annotated[Path, typer.Option(help="Folder of a bundle.")],
    data: Annotated[Path, data_option("Shards with the test images.")],
    output: Annotated[
        Path | None, typer.Option(help="Folder for robustness.json and robustness.png; by default BUNDLE-robustness.")
    ] = None,
    images: Annotated[int | None, typer.Option(min=1, help="Of the test list, evenly spaced; by default all.")] = None,
    rounds: Rounds = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap, of noise and of which side is cropped.")] = 0,
    json: Json = False,
) -> None:
    """Measure AUROC, flags and warnings on perturbed test films: exposure, noise, blur, turns, crops, JPEG, resolution.

    Example: cxr robustness --bundle runs/first/bundle --data data/shards --images 2000
    """
    from chest_xray.bundle import load_bundle
    from chest_xray.cli.tables import print_table
    from chest_xray.evaluation.robustness.measure import measure_robustness
    from chest_xray.evaluation.robustness.plot import plot_robustness
    from chest_xray.files import write_atomically

    opened = load_bundle(bundle)
    found = measure_robustness(opened, data, quality_warnings(opened), images=images, rounds=rounds, seed=seed)
    if json:
        print_json(found.model_dump(mode="json") | {"verdict": found.verdict})
    else:
        print_table(_table(found))
    for note in found.notes:
        say(f"Note: {note}")
    say(found.verdict)
    target = output or bundle.with_name(f"{bundle.resolve().name}-robustness")
    write_atomically(target / "robustness.png", plot_robustness(found))
    write_atomically(target / "robustness.json", found.model_dump_json(indent=2).encode())
    say(f"Written to {target}: robustness.json, robustness.png.")


def quality_warnings(bundle: Bundle) -> Warns:
    """Serving's checks of a bundle: whether one of them warns of a film (S, S)."""
    from chest_xray.inference.quality import QualityChecks

    checks, size = QualityChecks.load(bundle), bundle.manifest.image_size
    return lambda film: bool(checks.judge(film, width=size, height=size))


def _table(found: Robustness) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from chest_xray.notices import RESEARCH_USE_ONLY, describe_source

    source = describe_source(found.label_version)
    table = Table(
        title=f"{found.images} {source} of the test list, {found.patients} patients; as they are: mean AUROC "
        f"{found.clean_mean:.3f} of {len(found.clean)} findings, {found.clean_warned.either:.0%} warned of",
        caption=f"95% intervals of the paired difference, {found.rounds} bootstrap rounds over patients. The last "
        f"three: share of films that the guard, a quality check, or either warns of.\n{RESEARCH_USE_ONLY}",
        box=SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    for name in ("perturbation", "setting"):
        table.add_column(name, no_wrap=True)
    for name in ("mean AUROC", "less clean (95%)", "flags changed", "guard", "quality", "either"):
        table.add_column(name, justify="right", no_wrap="95" in name)
    for curve in found.curves:
        for place, level in enumerate(curve.levels):
            table.add_row(curve.name if place == 0 else "", f"{level.setting:.3g} {curve.unit}", *_figures(level))
    return table


def _figures(level: Level) -> tuple[str, ...]:
    mean, warned = level.mean, level.warned
    interval = "" if mean.ci95 is None else f" ({mean.ci95[0]:+.3f} to {mean.ci95[1]:+.3f})"
    changed = "n/a" if level.flags_changed is None else f"{level.flags_changed:.1%}"
    shares = (f"{value:.0%}" for value in (warned.guard, warned.quality, warned.either))
    return (f"{mean.auroc:.3f}", f"{mean.difference:+.3f}{interval}", changed, *shares)
