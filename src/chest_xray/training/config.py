"""One frozen configuration of a training run. As hyperparameters of a SageMaker job its values arrive as strings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chest_xray.errors import SettingsError


class TrainConfig(BaseModel):
    """What decides a run's weights, together with the shards. Rates are per step of one batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    init: str = Field(
        default="none",
        description="Where the weights start: `none`, `imagenet`, a .safetensors or a torchvision .pth file.",
    )
    epochs: int = Field(default=20, ge=1, description="Passes over the training images, at most.")
    batch_size: int = Field(default=32, ge=2, description="Images in a step.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Peak learning rate of the classifier.")
    backbone_lr_scale: float = Field(
        default=1.0, gt=0, le=1, description="The backbone's rate over the classifier's; 0.1 suits --init."
    )
    weight_decay: float = Field(default=0.02, ge=0, description="AdamW's decay of matrices and kernels.")
    warmup_fraction: float = Field(default=0.1, ge=0, lt=1, description="Part of the steps that warms up.")
    positive_weight_cap: float = Field(
        default=10.0, ge=1, description="Largest weight of a positive in the loss; 1 turns weighting off."
    )
    ema_decay: float = Field(default=0.998, ge=0, lt=1, description="Decay of the averaged weights.")
    rotation_degrees: float = Field(default=10.0, ge=0, le=45, description="Largest rotation.")
    scale: float = Field(default=0.1, ge=0, lt=0.5, description="Largest relative change of size.")
    shift: float = Field(default=0.05, ge=0, lt=0.5, description="Largest shift, part of the side.")
    contrast: float = Field(default=0.2, ge=0, lt=1, description="Largest relative change of contrast.")
    brightness: float = Field(default=0.1, ge=0, lt=1, description="Largest change of level, of full scale.")
    patience: int = Field(default=5, ge=1, description="Epochs without a better validation AUROC to stop.")
    checkpoint_steps: int = Field(default=200, ge=1, description="Steps between checkpoints.")
    precision: Annotated[str, Field(pattern="^(bf16|fp32)$")] = Field(
        default="bf16", description="Autocast of the forward pass: `bf16` or `fp32`."
    )
    seed: int = Field(default=0, ge=0, description="Seeds order, augmentation and fresh weights.")

    @classmethod
    def from_hyperparameters(cls, values: Mapping[str, Any]) -> Self:
        """Read options or a SageMaker job's hyperparameters; `-` and `_` are the same in a name.

        Raises:
            SettingsError: a name that is not known or a value that cannot be used.
        """
        try:
            return cls.model_validate({name.replace("-", "_"): value for name, value in values.items()})
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            if first["type"] == "extra_forbidden":
                known = ", ".join(cls.model_fields)
                raise SettingsError(f"{name!r} is no hyperparameter. Known: {known}.") from error
            raise SettingsError(
                f"hyperparameter {name} is {first['input']!r}: {first['msg'].removeprefix('Value error, ')}."
            ) from error
