"""model.json as types: `Manifest` and its parts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from chest_xray.finding_names import check_findings

# A compressed graph: int8 by ONNX Runtime; bf16 and fp16 are the graph as it is, computed so by OpenVINO.
Variant = Literal["int8", "bf16", "fp16"]


# `sensitivity=0.9` is the highest threshold that finds 0.9 of the positives.
AIM_PATTERN = r"^(youden|f1|sensitivity=0?\.\d*[1-9]\d*)$"


Probability = Annotated[float, Field(ge=0.0, le=1.0)]


Interval = tuple[float, float]  # lower end, upper end
ShareInterval = tuple[Probability, Probability]


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Frozen(BaseModel):
    """A part of a file of the project: frozen, finite numbers only, and nothing that its type does not name."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Normalisation(Frozen):
    """(pixel / 255 - mean) / std, done inside the graph; both on the scale 0..1."""

    mean: float
    std: float = Field(gt=0)


class Calibration(Frozen):
    """Calibrated probability = sigmoid(slope * logit + intercept).

    `platt` and `temperature` were fitted on validation images (Platt 1999; Guo et al. 2017). `temperature` has one
    parameter T: slope 1 / T and intercept -ln w / T, where w is the weight that the training loss gave to positives.
    `loss_weight` only undoes w (slope 1, intercept -ln w), for a finding with too few validation positives to fit.
    """

    method: Literal["platt", "temperature", "loss_weight"]
    slope: float
    intercept: float
    prior: Probability | None = Field(
        default=None, description="Prevalence to which the intercept was moved; None: that of the validation images."
    )


class OperatingPoint(Frozen):
    """The calibrated probability from which a finding is flagged, with what it gave on validation images."""

    threshold: Probability
    aim: Annotated[str, Field(pattern=AIM_PATTERN)]
    sensitivity: Probability
    specificity: Probability
    sensitivity_ci95: ShareInterval | None = Field(
        default=None, description="95% interval over patients of this threshold; choosing it is not in it."
    )
    specificity_ci95: ShareInterval | None = Field(default=None, description="As above.")


class FindingProfile(Frozen):
    """What the bundle knows of one finding. None where the data had too few cases to tell."""

    calibration: Calibration
    operating_point: OperatingPoint | None
    auroc: Probability | None = None
    auroc_ci95: ShareInterval | None = None


class Golden(Frozen):
    """The logits (F) that PyTorch gave for golden.png, preprocessed as any film is."""

    logits: tuple[float, ...]
    tolerance: float = 1e-4


class GuardProfile(Frozen):
    """When a film counts as unlike the training films: its distance is over `threshold`.

    A film from where the validation films came exceeds it with a probability of at most `false_refusal_rate`, the
    least that so many validation films can support where there are few. `method` names the distance: probabilistic
    PCA of the embedding's square root.
    """

    method: Literal["ppca_sqrt_embedding"] = "ppca_sqrt_embedding"
    threshold: float = Field(gt=0)
    false_refusal_rate: Probability
    training_images: int = Field(ge=1)
    validation_images: int = Field(ge=1)


class QualityProfile(Frozen):
    """When a film is warned of; each check warns of at most `false_warning_rate` of films like the validation films.

    `blank_range` is the least span of grey levels, 0..255, of a film that is not blank. The others are the log
    likelihood by which another pose must explain the film better than upright.
    """

    blank_range: float = Field(ge=0, le=255)
    inverted_margin: float = Field(ge=0)
    rotated_margin: float = Field(ge=0)
    cropped_margin: float = Field(ge=0)
    false_warning_rate: Probability
    validation_images: int = Field(ge=1)


class Provenance(Frozen):
    """Where the model comes from."""

    data_hash: Sha256
    label_version: str
    git_revision: str | None
    training_run: str | None
    created: AwareDatetime
    versions: dict[str, str]


class Manifest(Frozen):
    """The content of model.json."""

    format: Literal["cxr-bundle/1"] = "cxr-bundle/1"
    architecture: Literal["densenet121"] = "densenet121"
    image_size: int = Field(ge=32, le=2048)
    normalisation: Normalisation
    logits: tuple[str, ...] = Field(
        default=(), description="The finding of each logit; none in a bundle from before, whose findings are in order."
    )
    findings: dict[str, FindingProfile]
    mean_auroc: Probability | None
    golden: Golden
    guard: GuardProfile
    quality: QualityProfile
    provenance: Provenance
    files: dict[str, Sha256]
    variant: Variant | None = Field(
        default=None, description="How the graph was compressed; None: it was not. Every figure here is of this graph."
    )
    compressed_from: Sha256 | None = Field(default=None, description="Digest of the bundle that was compressed.")
    ensemble_of: tuple[Sha256, ...] = Field(
        default=(), description="Digests of an ensemble's members; none: it is no ensemble."
    )

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        findings = check_findings(self.findings)
        # The members of a JSON object have no order of their own, so that the list is what counts.
        if self.logits and self.logits != findings:
            raise ValueError(
                f"findings are {', '.join(findings)}; expected {', '.join(self.logits)}, as the logits are"
            )
        if len(self.golden.logits) != len(findings):
            raise ValueError(f"golden has {len(self.golden.logits)} logits; expected {len(findings)}")
        if (self.variant is None) != (self.compressed_from is None):
            raise ValueError("variant and compressed_from stand together or not at all")
        return self
