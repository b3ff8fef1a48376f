"""A training run on disk, laid out as SageMaker lays out /opt/ml, so that both places are the same `Path`s."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chest_xray.bundle import Normalisation
from chest_xray.errors import TrainingError
from chest_xray.lock import only_one
from chest_xray.training.config import TrainConfig

if TYPE_CHECKING:
    from chest_xray.data.shards import Shards


class Epoch(BaseModel):
    """One row of the curves. AUROC is None when validation has no finding with both classes."""

    model_config = ConfigDict(frozen=True)

    epoch: int
    train_loss: float
    val_loss: float
    val_auroc: float | None
    learning_rate: float


class TrainingRecord(BaseModel):
    """The content of model/training.json: the last file that a finished run writes."""

    model_config = ConfigDict(frozen=True)

    format: Literal["cxr-training/1"] = "cxr-training/1"
    config: TrainConfig
    image_size: int
    normalisation: Normalisation
    findings: Annotated[
        tuple[str, ...], Field(default=(), description="Of the logits, in order; none in a record from before them.")
    ]
    positive_weights: Annotated[list[float], Field(description="Weight of a positive in the loss, by finding.")]
    data_hash: str
    label_version: str
    best_epoch: int
    history: list[Epoch]
    git_revision: str | None
    versions: dict[str, str]
    mlflow_run: str | None
    device: str | None = Field(default=None, description="What trained: `cpu`, or the accelerator's name.")
    seconds: float | None = Field(
        default=None, description="Wall-clock seconds of training and validating; what a kill lost is not in it."
    )

    def check_shards(self, shards: Shards, run: Path, what_to_do: str) -> None:
        """Let the shards pass that the run was trained on.

        Raises:
            TrainingError: they hold other data, or label other findings.
        """
        if shards.data_hash != self.data_hash:
            raise TrainingError(
                f"{run} was trained on data {self.data_hash[:12]}, {shards.root} is {shards.data_hash[:12]}. "
                f"{what_to_do}"
            )
        if self.findings and self.findings != shards.findings:
            raise TrainingError(
                f"{run} was trained for {', '.join(self.findings)}, {shards.root} has labels of "
                f"{', '.join(shards.findings)}. {what_to_do}"
            )


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The places of one run."""

    root: Path

    @property
    def model(self) -> Path:
        """What SageMaker packs into model.tar.gz."""
        return self.root / "model"

    @property
    def output(self) -> Path:
        """Curves and plots, for people."""
        return self.root / "output" / "data"

    @property
    def checkpoints(self) -> Path:
        """What SageMaker copies to S3 and back when a spot instance is taken."""
        return self.root / "checkpoints"

    @property
    def evaluation(self) -> Path:
        """What `cxr evaluate` writes."""
        return self.root / "evaluation"

    @property
    def bundle(self) -> Path:
        """What `cxr export` writes."""
        return self.root / "bundle"

    @property
    def weights(self) -> Path:
        """The averaged weights of the best epoch."""
        return self.model / "weights.safetensors"

    def alone(self) -> AbstractContextManager[None]:
        """Hold the folder for this process.

        Raises:
            TrainingError: another `cxr` works in it.
        """
        busy = TrainingError(f"Another cxr command works in {self.root}. Wait for it, or use another folder.")
        return only_one(self.root / "run.lock", busy, wait_seconds=0)

    def finished(self) -> TrainingRecord | None:
        """The record of a finished run; None while there is none.

        Raises:
            TrainingError: the record is there but cannot be read.
        """
        path = self.model / "training.json"
        if not path.is_file():
            return None
        try:
            return TrainingRecord.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise TrainingError(f"{path} cannot be read: {error.errors()[0]['msg']}. Train again.") from error

    def record(self) -> TrainingRecord:
        """The record of a finished run.

        Raises:
            TrainingError: the run is not there or not finished.
        """
        found = self.finished()
        if found is None:
            raise TrainingError(f"{self.root} holds no finished training run. Finish it with `cxr train`.")
        return found
