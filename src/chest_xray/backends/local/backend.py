"""`LocalBackend`: every step on this machine."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING

from chest_xray.bundle import load_variant
from chest_xray.locations import require_folder
from chest_xray.prediction import ModelIdentity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chest_xray.backends.base import ApprovalStatus, Endpoint, ModelVersion
    from chest_xray.backends.local.endpoints import Endpoints
    from chest_xray.backends.local.registry import Registry
    from chest_xray.backends.registry import Decision
    from chest_xray.bundle import Variant
    from chest_xray.data.prepare.prepare import PrepareReport
    from chest_xray.locations import Location
    from chest_xray.prediction import Predictor
    from chest_xray.settings import Settings
    from chest_xray.training.config import TrainConfig


class LocalBackend:
    """A `Backend` over CXR_HOME. Each step imports what it needs: serving never loads MLflow or torch."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def prepare(self, source: Location, output: Location, *, image_size: int, workers: int | None) -> PrepareReport:
        """Make shards of an NIH-format folder in `output`."""
        from chest_xray.data.prepare.prepare import prepare_data

        return prepare_data(
            require_folder(source, "--source"),
            require_folder(output, "--output"),
            image_size=image_size,
            workers=workers,
        )

    def train(self, data: Location, output: Path, config: TrainConfig) -> Path:
        """Train on a shard folder, or go on from the run's checkpoint; returns the run folder."""
        from chest_xray.training.train import train

        return train(require_folder(data, "--data"), output, config, self._settings)

    def register(
        self, bundle: Path, *, model_name: str, by: str, data: Sequence[Path] = (), force: str | None = None
    ) -> ModelVersion:
        """Add a bundle as the next version of `model_name`, PendingManualApproval, if the gate lets it in."""
        from chest_xray.backends.register import register

        return register(self._registry, self._settings, bundle, model_name=model_name, by=by, data=data, force=force)

    def fetch(self, model_name: str, version: int, into: Path) -> Path:
        """Copy a version's bundle below the folder `into`; returns where."""
        return self._registry.fetch(model_name, version, into)

    def models(self, model_name: str | None = None) -> list[ModelVersion]:
        """Every version of one model or of all, newest last."""
        return self._registry.models(model_name)

    def decisions(self, model_name: str, version: int) -> list[Decision]:
        """Every decision on a version, oldest first."""
        return self._registry.decisions(model_name, version)

    def set_approval(
        self, model_name: str, version: int, status: ApprovalStatus, *, by: str, reason: str | None
    ) -> ModelVersion:
        """Decide on a version."""
        return self._registry.set_approval(model_name, version, status, by=by, reason=reason)

    def deploy(
        self, model_name: str, *, version: int | None, endpoint: str, variant: Variant | None = None
    ) -> Endpoint:
        """Deploy an Approved version (the newest one when `version` is None), or the variant of it in its bundle.

        Raises:
            NotApprovedError: that version, or every version, is not Approved.
            BundleError: its bundle has no such variant.
        """
        registry = self._registry
        chosen = registry.approved(model_name, version)
        if variant is not None:
            return self._deploy_variant(chosen, variant, endpoint)
        model = ModelIdentity(name=chosen.model_name, version=chosen.version, digest=chosen.digest)
        return self._endpoints.deploy(
            endpoint, model, lambda folder: registry.fetch(chosen.model_name, chosen.version, folder)
        )

    def _deploy_variant(self, chosen: ModelVersion, variant: Variant, endpoint: str) -> Endpoint:
        """The registry holds the whole bundle to its digest, and the bundle's manifest holds the variant to its own."""
        with tempfile.TemporaryDirectory(prefix="cxr-deploy-") as folder:
            found = load_variant(self._registry.fetch(chosen.model_name, chosen.version, Path(folder)), variant)
            model = ModelIdentity(name=chosen.model_name, version=chosen.version, digest=found.digest)
            return self._endpoints.deploy(endpoint, model, lambda into: copytree(found.root, into / "bundle"))

    def predictor(self, endpoint: str) -> Predictor:
        """The predictor of a deployed endpoint."""
        return self._endpoints.predictor(endpoint)

    @cached_property
    def _registry(self) -> Registry:
        from chest_xray.backends.local.registry import Registry

        return Registry(self._settings)

    @cached_property
    def _endpoints(self) -> Endpoints:
        from chest_xray.backends.local.endpoints import Endpoints

        return Endpoints(self._settings.home_dir / "endpoints", self._settings.engine)
