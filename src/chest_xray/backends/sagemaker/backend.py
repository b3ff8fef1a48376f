"""`SageMakerBackend`: films prepared and models trained as SageMaker jobs. The other steps run on this machine."""

# ruff: noqa: ARG002 (what is refused is refused whatever its arguments are)
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from chest_xray.backends.sagemaker.processing.preparer import Preparer
from chest_xray.backends.sagemaker.training.jobs import TrainingJobs
from chest_xray.errors import SettingsError
from chest_xray.locations import require_s3

if TYPE_CHECKING:
    from chest_xray.backends.base import ApprovalStatus, Endpoint, ModelVersion
    from chest_xray.bundle import Variant
    from chest_xray.data.prepare.prepare import PrepareReport
    from chest_xray.locations import Location
    from chest_xray.prediction import Predictor
    from chest_xray.settings import ProcessingSettings, SageMakerSettings, Settings
    from chest_xray.training.config import TrainConfig


class SageMakerBackend:
    """A `Backend` whose work is jobs in an AWS account. What it has not got is refused, not run elsewhere."""

    def __init__(self, settings: Settings, sagemaker: SageMakerSettings, processing: ProcessingSettings) -> None:
        self._processing = processing
        self.jobs = TrainingJobs(settings, sagemaker)

    def train(self, data: Location, output: Path, config: TrainConfig) -> Path:
        """Train as a job, or go on with the job of this run folder; returns the run folder."""
        return self.jobs.train(data, output, config)

    def prepare(self, source: Location, output: Location, *, image_size: int, workers: int | None) -> PrepareReport:
        """Make shards of an NIH-format prefix of S3, by processing jobs; their instances use all their processors."""
        if workers is not None:
            raise SettingsError("--workers is for this machine; on SageMaker give --instance-type or --instance-count.")
        preparer = Preparer(self._processing)
        places = require_s3(source, "--source"), require_s3(output, "--output")
        return preparer.prepare(*places, image_size=image_size)

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
