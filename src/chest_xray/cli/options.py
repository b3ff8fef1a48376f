"""Command-line options that several commands have, and options made from a pydantic model.

The latter so that a setting, its default and its help stand in one place.
"""

from __future__ import annotations

import getpass
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from chest_xray.backends import local_copy
from chest_xray.locations import S3Prefix, read_location
from chest_xray.settings import Settings, load_settings

BackendName = Literal["local", "sagemaker"]
EndpointName = Annotated[str, typer.Option("--endpoint", help="Name of the endpoint.")]
ModelName = Annotated[str, typer.Option("--model-name", help="Name in the registry.")]
Rounds = Annotated[int, typer.Option("--rounds", min=100, help="Bootstrap rounds over patients.")]
Run = Annotated[Path, typer.Option("--run", help="Folder of a training run.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes; by default one a CPU.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be asked of AWS, as JSON, and ask for nothing.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


def folder_of_shards(text: str) -> Path:
    """The folder that a person named; shards in S3 are copied to this machine first."""
    place = read_location(text)
    return local_copy(place, load_settings()) if isinstance(place, S3Prefix) else place


def data_option(
    description: str = "Shards, from prepare-data: a folder, or s3://BUCKET/PREFIX, copied once.",
) -> Any:
    """`--data` of a command that reads shards on this machine."""
    return typer.Option("--data", help=description, parser=folder_of_shards, metavar="PATH")


Data = Annotated[Path, data_option()]
Place = Annotated[str, typer.Option("--data", help="Shards, from prepare-data: a folder, or s3://BUCKET/PREFIX.")]


BackendOption = Annotated[BackendName | None, typer.Option("--backend", help="Where it runs; CXR_BACKEND by default.")]


def chosen_settings(backend: BackendName | None) -> Settings:
    """This machine's settings, with the backend that a command was given."""
    settings = load_settings()
    return settings if backend is None else settings.model_copy(update={"backend": backend})


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

        return _with_parameters(expanded, command, [*(p for n, p in own.items() if n != parameter), *fields.values()])

    return decorate


def optional_options_from(
    model: type[BaseModel], parameter: str, panel: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The same for settings that the environment has too: `parameter` gets the options that were given, no others.

    Values stay as typed, so that the settings read them as they read the environment.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters
        fields = {name: _optional(name, field, panel) for name, field in model.model_fields.items()}

        def expanded(**values: Any) -> None:
            given = {name: value for name in fields if (value := values.pop(name)) is not None}
            command(**values, **{parameter: given})

        return _with_parameters(expanded, command, [*(p for n, p in own.items() if n != parameter), *fields.values()])

    return decorate


def _optional(name: str, field: FieldInfo, panel: str) -> inspect.Parameter:
    flag = f"--{name.replace('_', '-')}"
    kind: Any = str
    if field.annotation is bool:
        flag, kind = f"{flag}/--no-{flag[2:]}", bool
    option = typer.Option(flag, help=field.description, rich_help_panel=panel)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _with_parameters(
    expanded: Callable[..., None], command: Callable[..., None], parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    # Typer reads a command through inspect.signature, which looks here first.
    vars(expanded)["__signature__"] = inspect.Signature([p.replace(kind=p.KEYWORD_ONLY) for p in parameters])
    expanded.__annotations__ = {p.name: p.annotation for p in parameters}
    expanded.__doc__, expanded.__name__ = command.__doc__, command.__name__
    return expanded


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    option = typer.Option(f"--{name.replace('_', '-')}", help=field.description)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=field.default,
        annotation=Annotated[field.annotation, option],
    )
