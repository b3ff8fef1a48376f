"""`SageMakerBackend`: training as a SageMaker job. The other steps run on this machine, with the local backend."""

# ruff: noqa: ARG002 (what is refused is refused whatever its arguments are)
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from chest_xray.backends.sagemaker.training import TrainingJobs
from chest_xray.errors import SettingsError

if TYPE_CHECKING:
    from chest_xray.backends.base import ApprovalStatus, Endpoint, ModelVersion
    from chest_xray.bundle import Variant
    from chest_xray.data.prepare.prepare import PrepareReport
    from chest_xray.prediction import Predictor
    from chest_xray.settings import SageMakerSettings, Settings
    from chest_xray.training.config import TrainConfig


class SageMakerBackend:
    """A `Backend` whose training is a job in an AWS account. What it has not got is refused, not run elsewhere."""

    def __init__(self, settings: Settings, sagemaker: SageMakerSettings) -> None:
        self.jobs = TrainingJobs(settings, sagemaker)

    def train(self, data: Path, output: Path, config: TrainConfig) -> Path:
        """Train as a job, or go on with the job of this run folder; returns the run folder."""
        return self.jobs.train(data, output, config)

    def prepare(self, source: Path, output: Path, *, image_size: int, workers: int | None) -> PrepareReport:
        """Refused."""
        _here_only("prepare-data")

    def register(
        self, bundle: Path, *, model_name: str, by: str, data: Sequence[Path] = (), force: str | None = None
    ) -> ModelVersion:
        """Refused."""
        _here_only("register")

    def fetch(self, model_name: str, version: int, into: Path) -> Path:
        """Refused."""
        _here_only("compare with a registered version")

    def models(self, model_name: str | None = None) -> list[ModelVersion]:
        """Refused."""
        _here_only("models")

    def set_approval(
        self, model_name: str, version: int, status: ApprovalStatus, *, by: str, reason: str | None
    ) -> ModelVersion:
        """Refused."""
        _here_only("approve and reject")

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
