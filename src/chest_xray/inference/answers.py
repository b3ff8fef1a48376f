"""What the API answers, as pydantic models: the OpenAPI document is made of these."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from chest_xray.backends.base import ModelIdentity, Prediction, Predictor
from chest_xray.bundle import FindingProfile, Normalisation, Probability, Provenance
from chest_xray.findings import RESEARCH_USE_ONLY

HeatMap = Annotated[
    list[list[float]],
    Field(description="Rows from the top of the film; each cell's share of the logit, before calibration."),
]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelAnswer(_Answer):
    """Which model answered."""

    name: str
    version: int | None = Field(description="None for a bundle that was never registered.")
    digest: str = Field(description="SHA-256 of the bundle's manifest, which holds that of each of its files.")

    @classmethod
    def of(cls, identity: ModelIdentity) -> Self:
        """The identity, as it is written in an answer."""
        return cls(name=identity.name, version=identity.version, digest=identity.digest)


class FindingAnswer(_Answer):
    """One finding of the film."""

    finding: str
    probability: Probability = Field(description="Calibrated on validation images.")
    operating_point: Probability | None = Field(
        description="The probability from which the finding is flagged; null where too few cases gave one."
    )
    flag: bool | None = Field(description="probability >= operating_point; null without an operating point.")


class PredictionAnswer(_Answer):
    """The answer for one film."""

    request_id: str
    model: ModelAnswer
    findings: list[FindingAnswer]
    heat_maps: dict[str, HeatMap]
    timings_ms: dict[str, float] = Field(description="Milliseconds by stage.")
    notice: str

    @classmethod
    def of(cls, request_id: str, prediction: Prediction) -> Self:
        """The prediction, as it is written in an answer. No number is rounded."""
        findings = [
            FindingAnswer(
                finding=score.finding,
                probability=score.probability,
                operating_point=score.operating_point,
                flag=score.flag,
            )
            for score in prediction.findings
        ]
        return cls(
            request_id=request_id,
            model=ModelAnswer.of(prediction.model),
            findings=findings,
            heat_maps={finding: cam.tolist() for finding, cam in prediction.heat_maps.items()},
            timings_ms=dict(prediction.timings_ms),
            notice=RESEARCH_USE_ONLY,
        )


class ModelCard(_Answer):
    """The deployed model: how its numbers come about and how good they were."""

    request_id: str
    model: ModelAnswer
    architecture: str
    image_size: int = Field(description="Side of the square that a film is resized to, in pixels.")
    normalisation: Normalisation
    findings: dict[str, FindingProfile] = Field(description="In the order of the logits.")
    mean_auroc: Probability | None = Field(description="Mean over the findings, on the test list.")
    provenance: Provenance
    notice: str

    @classmethod
    def of(cls, request_id: str, predictor: Predictor) -> Self:
        """What the predictor's manifest says."""
        manifest = predictor.manifest
        return cls(
            request_id=request_id,
            model=ModelAnswer.of(predictor.identity),
            architecture=manifest.architecture,
            image_size=manifest.image_size,
            normalisation=manifest.normalisation,
            findings=manifest.findings,
            mean_auroc=manifest.mean_auroc,
            provenance=manifest.provenance,
            notice=RESEARCH_USE_ONLY,
        )


class Health(_Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(_Answer):
    """A model was loaded and has proved itself on its golden film."""

    status: Literal["ready"] = "ready"
    model: ModelAnswer


class Problem(_Answer):
    """An error, by RFC 9457. `code` is for programs, `detail` for people."""

    type: Literal["about:blank"] = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    request_id: str
