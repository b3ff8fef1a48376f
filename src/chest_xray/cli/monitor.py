"""`cxr monitor`: what becomes of a model in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chest_xray.backends import get_backend
from chest_xray.cli.options import EndpointName, Json
from chest_xray.console import print_json, say
from chest_xray.settings import DEFAULT_MODEL, load_settings

if TYPE_CHECKING:
    from chest_xray.monitoring.agreement import Agreement

monitor = typer.Typer(
    no_args_is_help=True,
    help="What becomes of a model in use.\n\nExample: cxr monitor feedback",
)
Since = Annotated[
    datetime | None, typer.Option("--since", formats=["%Y-%m-%d"], help="Only feedback from this UTC day on.")
]


@monitor.command()
def feedback(endpoint: EndpointName = DEFAULT_MODEL, since: Since = None, json: Json = False) -> None:
    """Compare readers' feedback with the model's flags.

    Example: cxr monitor feedback --endpoint chest-xray --since 2026-11-01
    """
    from chest_xray.cli.tables import agreement_table, print_table
    from chest_xray.monitoring.agreement import measure_agreement
    from chest_xray.records.audit import FOLDER

    settings = load_settings()
    home, day = settings.home_dir, None if since is None else since.date()

    def deployed() -> Sequence[str]:
        return tuple(get_backend(settings).predictor(endpoint).manifest.findings)

    found = measure_agreement(home, home / FOLDER, endpoint, day, deployed=deployed)
    if json:
        print_json(_row(found))
        return
    print_table(agreement_table(found))
    for fault in found.faults:
        say(f"not read: {fault.path}, line {fault.line}: {fault.reason}")


def _row(found: Agreement) -> dict[str, Any]:
    row = asdict(found)
    row["since"] = None if found.since is None else found.since.isoformat()
    row["faults"] = [fault | {"path": str(fault["path"])} for fault in row["faults"]]
    return row
