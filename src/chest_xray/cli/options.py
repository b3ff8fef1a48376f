"""Command-line options that several commands have, and options made from a pydantic model.

The latter so that a setting, its default and its help stand in one place.
"""

from __future__ import annotations

import getpass
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

Data = Annotated[Path, typer.Option("--data", help="Folder of shards, from prepare-data.")]
EndpointName = Annotated[str, typer.Option("--endpoint", help="Name of the endpoint.")]
ModelName = Annotated[str, typer.Option("--model-name", help="Name in the registry.")]
Rounds = Annotated[int, typer.Option("--rounds", min=100, help="Bootstrap rounds over patients.")]
Run = Annotated[Path, typer.Option("--run", help="Folder of a training run.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes; by default one a CPU.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


def user_name() -> str:
    """The user's name, or number where a container has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def options_from(model: type[BaseModel], parameter: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's `parameter`, which takes a dict of values, by one option a field of `model`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters
        fields = {name: _option(name, field) for name, field in model.model_fields.items()}

        def expanded(**values: Any) -> None:
            settings = {name: values.pop(name) for name in fields}
            command(**values, **{parameter: settings})

        parameters = [p for name, p in own.items() if name != parameter] + list(fields.values())
        # Typer reads a command through inspect.signature, which looks here first.
        vars(expanded)["__signature__"] = inspect.Signature(parameters)
        expanded.__annotations__ = {p.name: p.annotation for p in parameters}
        expanded.__doc__, expanded.__name__ = command.__doc__, command.__name__
        return expanded

    return decorate


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    option = typer.Option(f"--{name.replace('_', '-')}", help=field.description)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=field.default,
        annotation=Annotated[field.annotation, option],
    )
