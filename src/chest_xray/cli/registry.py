"""The commands of the registry: who may be deployed, and who said so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chest_xray.backends import get_backend
from chest_xray.cli.compare import Force, TestData
from chest_xray.cli.options import BackendOption, Json, ModelName, chosen_settings, optional_options_from, user_name
from chest_xray.console import print_json
from chest_xray.settings import DEFAULT_MODEL, HostingSettings

if TYPE_CHECKING:
    from chest_xray.backends.base import ModelVersion


ModelArgument = Annotated[str, typer.Argument(metavar="MODEL_NAME", help="Name in the registry.")]


Version = Annotated[int, typer.Option("--version", min=1, help="Version in the registry.")]


By = Annotated[str, typer.Option("--by", help="Who does this, for the record.", default_factory=user_name)]

_hosting_options = optional_options_from(
    HostingSettings, "hosting", panel="With --backend sagemaker; CXR_SAGEMAKER_* by default"
)


@_hosting_options
def register(
    bundle: Annotated[Path, typer.Option(help="Folder of a bundle.")],
    by: By,
    hosting: dict[str, Any],
    model_name: ModelName = DEFAULT_MODEL,
    data: TestData = None,
    force: Force = None,
    backend: BackendOption = None,
    json: Json = False,
) -> None:
    """Add a bundle to the registry, as PendingManualApproval, if the promotion gate lets it in.

    Where a version is Approved, the bundle is compared with the newest of them on the test images in --data.

    Example: cxr register --bundle runs/second/bundle --model-name chest-xray --data data/shards
    """
    registry = get_backend(chosen_settings(backend), hosting=hosting)
    added = registry.register(bundle, model_name=model_name, by=by, data=data or [], force=force)
    _show_versions([added], json)


@_hosting_options
def models(
    hosting: dict[str, Any],
    model_name: Annotated[str | None, typer.Argument(help="Only this model.")] = None,
    backend: BackendOption = None,
    json: Json = False,
) -> None:
    """List the versions in the registry with their state.

    Example: cxr models chest-xray
    """
    _show_versions(get_backend(chosen_settings(backend), hosting=hosting).models(model_name), json)


@_hosting_options
def approve(
    model_name: ModelArgument,
    version: Version,
    by: By,
    hosting: dict[str, Any],
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    backend: BackendOption = None,
    json: Json = False,
) -> None:
    """Approve a version for deployment.

    Example: cxr approve chest-xray --version 1 --reason "mean AUROC 0.82 on the official list"
    """
    registry = get_backend(chosen_settings(backend), hosting=hosting)
    _show_versions([registry.set_approval(model_name, version, "Approved", by=by, reason=reason)], json)


@_hosting_options
def reject(
    model_name: ModelArgument,
    version: Version,
    by: By,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    hosting: dict[str, Any],
    backend: BackendOption = None,
    json: Json = False,
) -> None:
    """Reject a version: it cannot be deployed.

    Example: cxr reject chest-xray --version 2 --reason "worse in women"
    """
    registry = get_backend(chosen_settings(backend), hosting=hosting)
    _show_versions([registry.set_approval(model_name, version, "Rejected", by=by, reason=reason)], json)


def _show_versions(versions: Sequence[ModelVersion], json: bool) -> None:
    from chest_xray.cli.tables import print_table, version_rows, versions_table

    if json:
        print_json(version_rows(versions))
    else:
        print_table(versions_table(versions))
