"""`cxr doctor`: is all there that the commands need?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer
from rich.text import Text

from chest_xray.backends import examine
from chest_xray.backends.checks import Check
from chest_xray.cli.options import BackendOption, Json, chosen_settings, optional_options_from
from chest_xray.cli.tables import print_lines
from chest_xray.console import print_json
from chest_xray.settings import SageMakerSettings

_MARKS = {"ok": ("ok", "green"), "failed": ("FAILED", "bold red"), "unknown": ("?", "yellow")}


@optional_options_from(SageMakerSettings, "sagemaker", panel="With --backend sagemaker; CXR_SAGEMAKER_* by default")
def doctor(
    sagemaker: dict[str, Any],
    backend: BackendOption = None,
    json: Json = False,
) -> None:
    """Look at what the commands need, a line for each thing: ok, or what to do. Nothing is changed.

    With --backend sagemaker: credentials, clock, permissions, role, bucket, key, image, network and quota. A `?` is
    what could not be looked up. Ends with exit code 2 when something is missing.

    Example: cxr doctor --backend sagemaker --instance-type ml.g5.xlarge --use-spot
    """
    settings = chosen_settings(backend)
    found = []
    for check in examine(settings, sagemaker):
        found.append(check)
        if not json:
            print_lines(_lines(check))
    if json:
        print_json([asdict(check) for check in found])
    if any(check.state == "failed" for check in found):
        raise typer.Exit(2)


def _lines(check: Check) -> list[Text]:
    mark, style = _MARKS[check.state]
    lines = [Text.assemble((f"{mark:<7}", style), f"{check.name:<19}", check.found)]
    if check.cure:
        lines.append(Text(f"{'':<26}{check.cure}", style="bold" if check.state == "failed" else ""))
    return lines
