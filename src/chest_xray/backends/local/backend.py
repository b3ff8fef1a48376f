"""`LocalBackend`: every step on this machine."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from chest_xray.backends.base import ModelIdentity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chest_xray.backends.base import ApprovalStatus, Endpoint, ModelVersion, Predictor
    from chest_xray.backends.local.endpoints import Endpoints
    from chest_xray.backends.local.registry import Registry
    from chest_xray.backends.local.registry_tags import Decision
    from chest_xray.settings import Settings
    from chest_xray.training.config import TrainConfig


class LocalBackend:
    """A `Backend` over CXR_HOME. Each step imports what it needs: serving never loads MLflow or torch."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def prepare(self, source: Path, output: Path, *, image_size: int, workers: int | None) -> Path:
        """Make shards of an NIH-format folder; returns the shard folder."""
        from chest_xray.training.prepare_data import prepare_data

        prepare_data(source, output, image_size=image_size, workers=workers)
        return output

    def train(self, data: Path, output: Path, config: TrainConfig) -> Path:
        """Train on a shard folder, or go on from the run's checkpoint; returns the run folder."""
        from chest_xray.training.train import train

        return train(data, output, config, self._settings)

    def register(
        self, bundle: Path, *, model_name: str, by: str, data: Sequence[Path] = (), force: str | None = None
    ) -> ModelVersion:
        """Add a bundle as the next version of `model_name`, PendingManualApproval, if the gate lets it in."""
        from chest_xray.backends.local.promotion import register

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

    def deploy(self, model_name: str, *, version: int | None, endpoint: str) -> Endpoint:
        """Deploy an Approved version (the newest one when `version` is None).

        Raises:
            NotApprovedError: that version, or every version, is not Approved.
        """
        registry = self._registry
        chosen = registry.approved(model_name, version)
        model = ModelIdentity(name=chosen.model_name, version=chosen.version, digest=chosen.digest)
        return self._endpoints.deploy(
            endpoint, model, lambda folder: registry.fetch(chosen.model_name, chosen.version, folder)
        )

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
