"""`SageMakerBackend`: films prepared, models trained and registered there. The rest runs on this machine."""

# ruff: noqa: ARG002 (what is refused is refused whatever its arguments are)
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from chest_xray.backends.sagemaker.processing.preparer import Preparer
from chest_xray.backends.sagemaker.registry.registry import PackageRegistry
from chest_xray.backends.sagemaker.training.jobs import TrainingJobs
from chest_xray.errors import SettingsError
from chest_xray.locations import require_s3

if TYPE_CHECKING:
    from chest_xray.backends.base import ApprovalStatus, Endpoint, ModelVersion
    from chest_xray.backends.registry import Decision
    from chest_xray.bundle import Variant
    from chest_xray.data.prepare.prepare import PrepareReport
    from chest_xray.locations import Location
    from chest_xray.prediction import Predictor
    from chest_xray.settings import HostingSettings, ProcessingSettings, SageMakerSettings, Settings
    from chest_xray.training.config import TrainConfig


class SageMakerBackend:
    """A `Backend` whose work is jobs in an AWS account. What it has not got is refused, not run elsewhere."""

    def __init__(
        self,
        settings: Settings,
        sagemaker: SageMakerSettings,
        processing: ProcessingSettings,
        hosting: HostingSettings,
    ) -> None:
        self._settings, self._processing = settings, processing
        self._registry = PackageRegistry(hosting)
        self.jobs = TrainingJobs(settings, sagemaker)

    def train(self, data: Location, output: Path, config: TrainConfig) -> Path:
        """Train as a job, or go on with the job of this run folder; returns the run folder."""
        return self.jobs.train(data, output, config)

    def prepare(self, source: Location, output: Location, *, image_size: int, workers: int | None) -> PrepareReport:
        """Make shards by processing jobs, whose instances use all their processors; a folder is copied to S3 first."""
        if workers is not None:
            raise SettingsError("--workers is for this machine; on SageMaker give --instance-type or --instance-count.")
        return Preparer(self._processing).prepare(source, require_s3(output, "--output"), image_size=image_size)

    def register(
        self, bundle: Path, *, model_name: str, by: str, data: Sequence[Path] = (), force: str | None = None
    ) -> ModelVersion:
        """Add a bundle as a model package, PendingManualApproval, if the same gate as on a laptop lets it in."""
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
        """Refused."""
        _here_only("deploy")

    def predictor(self, endpoint: str) -> Predictor:
        """Refused."""
        _here_only("predict and serve")


def _here_only(command: str) -> NoReturn:
    raise SettingsError(
        f"CXR_BACKEND is 'sagemaker', and {command} runs on this machine only: set CXR_BACKEND=local for it."
    )
