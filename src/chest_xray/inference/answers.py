"""What is answered, as pydantic models: to the API's and the container's callers and by `cxr predict --json`.

The OpenAPI document is made of these. Their fields are those of `chest_xray.prediction` and of the manifest.
"""

import base64
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal, Self

from numpy import float32
from numpy.typing import NDArray
from pydantic import Field

from chest_xray.bundle import (
    FindingProfile,
    GuardProfile,
    Normalisation,
    Probability,
    Provenance,
    QualityProfile,
    Variant,
)
from chest_xray.errors import ImageError
from chest_xray.images.class_maps import ANCHORS, FAINT, OPACITY
from chest_xray.images.film import MediaType, Sex, View
from chest_xray.images.limits import Limits
from chest_xray.inference.http.problems import Answer, Problem, problem_of
from chest_xray.inference.zones import locations
from chest_xray.notices import RESEARCH_USE_ONLY
from chest_xray.prediction import ModelIdentity, Prediction, Predictor, QualityCheck

Level = Annotated[int, Field(ge=0, le=255)]
HeatMapKind = Literal["array", "png"]
HeatMap = Annotated[
    list[list[float]],
    Field(description="Rows from the top of the film; each cell's share of the logit, before calibration."),
]
HeatMapPicture = Annotated[
    str,
    Field(
        description="A PNG file, base64: colours with transparency, of the network's input size, to lay over the film. "
        "Only evidence for the finding is drawn.",
        json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/png"},
    ),
]


class ModelAnswer(Answer):
    """Which model answered."""

    name: str
    version: int | None = Field(description="None for a bundle that was never registered.")
    digest: str = Field(description="SHA-256 of the bundle's manifest, which holds that of each of its files.")


class FindingAnswer(Answer):
    """One finding of the film."""

    finding: str
    probability: Probability = Field(description="Calibrated on validation images.")
    operating_point: Probability | None = Field(
        description="The probability from which the finding is flagged; null where too few cases gave one."
    )
    flag: bool | None = Field(
        description="probability >= operating_point; null without an operating point, and where scores are withheld."
    )


class FilmFactsAnswer(Answer):
    """What is known of the film. View, age and sex come from DICOM tags; null where the file does not say."""

    media_type: MediaType = Field(description="What the bytes are, whatever type they were sent under.")
    width: int
    height: int
    view: View | None
    age: int | None = Field(description="Years.")
    sex: Sex | None


class GuardAnswer(Answer):
    """Whether the film is like the training films. If not, its probabilities mean nothing."""

    in_distribution: bool = Field(description="distance <= threshold.")
    distance: float
    threshold: float
    false_refusal_rate: Probability = Field(description="Share of validation films beyond the threshold.")


class QualityWarningAnswer(Answer):
    """Something about the picture itself that makes its scores doubtful."""

    check: QualityCheck
    detail: str


class FilmAnswer(Answer):
    """The scores of one film. No number is rounded."""

    event_id: str = Field(
        description="Names these scores: the audit log has it, and feedback on them gives it.",
        json_schema_extra={"format": "uuid"},
    )
    film: FilmFactsAnswer
    findings: list[FindingAnswer]
    guard: GuardAnswer
    quality: list[QualityWarningAnswer] = Field(description="Empty where every check was passed.")
    withheld: str | None = Field(
        description="Why the scores are not to be read, though they are here: `out_of_distribution`, or `quality_` and "
        "the check that the film fails. `strict` refuses such a film with the same code. null: the film is accepted."
    )
    heat_maps: dict[str, HeatMap | HeatMapPicture] = Field(description="By finding, as asked for.")
    locations: dict[str, str | None] = Field(
        description="Where the evidence of each heat map lies, in words; null where there is none, or where the film "
        "is, or may be, turned or mirrored."
    )
    timings_ms: dict[str, float] = Field(
        description="Milliseconds: queue (waiting for a processor), decode, preprocess, network; total, from the "
        "request's last byte to this film's scores."
    )

    @classmethod
    def of(cls, prediction: Prediction, picture_size: int | None = None, **more: object) -> Self:
        """The prediction as it is written in an answer, its heat maps as pictures of `picture_size` or as arrays.

        `more` are the fields that a prediction does not have.
        """
        drawn = {finding: _heat_map(cam, picture_size) for finding, cam in prediction.heat_maps.items()}
        fields = _taken(cls, prediction) | {"heat_maps": drawn, "locations": locations(prediction)}
        return cls.model_validate(fields | more)


class PredictionAnswer(FilmAnswer):
    """The answer for one film."""

    request_id: str
    model: ModelAnswer
    notice: str

    @classmethod
    def answering(cls, request_id: str, prediction: Prediction, picture_size: int | None = None) -> Self:
        """The whole answer to a request with one film."""
        return cls.of(prediction, picture_size, request_id=request_id, notice=RESEARCH_USE_ONLY)


class BatchResult(Answer):
    """What became of one image of several: `prediction` where `status` is 200, else `problem`."""

    index: int = Field(description="Its place in the request, from 0.")
    status: int
    prediction: FilmAnswer | None
    problem: Problem | None

    @classmethod
    def of(
        cls, request_id: str, index: int, result: Prediction | ImageError, picture_size: int | None, **more: object
    ) -> Self:
        """What a batch's answer says of one image; `more` are the fields that a subclass has besides."""
        if isinstance(result, ImageError):
            problem = problem_of(request_id, result)
            told: dict[str, object] = {"status": problem.status, "prediction": None, "problem": problem}
        else:
            film = FilmAnswer.of(result, picture_size)
            told = {"status": HTTPStatus.OK, "prediction": film, "problem": None}
        return cls.model_validate({"index": index} | told | more)


class BatchAnswer(Answer):
    """The answer for several images, in their order."""

    request_id: str
    model: ModelAnswer
    notice: str
    results: tuple[BatchResult, ...]

    @classmethod
    def of(cls, request_id: str, model: ModelIdentity, results: Sequence[BatchResult]) -> Self:
        """The whole answer to a request with several images."""
        fields = {"request_id": request_id, "model": model, "notice": RESEARCH_USE_ONLY, "results": results}
        return cls.model_validate(fields)


class ImageLimits(Answer):
    """What one image may have at most."""

    max_bytes: int
    max_pixels: int


class ModelCard(Answer):
    """The deployed model: how its numbers come about and how good they were."""

    request_id: str
    model: ModelAnswer
    architecture: str
    variant: Variant | None = Field(description="How its graph was compressed; null: it was not.")
    compressed_from: str | None = Field(description="Digest of the bundle that was compressed.")
    ensemble_of: tuple[str, ...] = Field(description="Digests of an ensemble's members; none: it is no ensemble.")
    image_size: int = Field(description="Side of the square that a film is resized to, in pixels.")
    normalisation: Normalisation
    findings: dict[str, FindingProfile] = Field(description="In the order of the logits.")
    mean_auroc: Probability | None = Field(description="Mean over the findings, on the test list.")
    guard: GuardProfile
    quality: QualityProfile
    provenance: Provenance
    colours: list[tuple[Level, Level, Level]] = Field(
        description="Of heat maps: red, green, blue at even steps from level 0 to 1."
    )
    faint: float = Field(description="The share of the logit that has level 1 at least; in a stronger map its largest.")
    opacity: Probability = Field(description="Of a heat map at level 1; it grows with the level from 0.")
    limits: ImageLimits
    feedback: bool = Field(description="Whether readers' feedback is kept here.")
    notice: str

    @classmethod
    def of(cls, request_id: str, predictor: Predictor, limits: Limits, *, feedback: bool) -> Self:
        """What the predictor's manifest says, and what this server does with its answers."""
        here = {
            "request_id": request_id,
            "model": predictor.identity,
            "colours": ANCHORS,
            "faint": FAINT,
            "opacity": OPACITY,
            "limits": limits,
            "feedback": feedback,
            "notice": RESEARCH_USE_ONLY,
        }
        return cls.model_validate(_taken(cls, predictor.manifest) | here)


class FeedbackAnswer(Answer):
    """A reader's judgement was kept."""

    request_id: str
    event_id: str = Field(description="Of the film that it is about.", json_schema_extra={"format": "uuid"})


class ShownAnswer(Answer):
    """It was recorded that withheld scores are shown."""

    request_id: str
    event_id: str = Field(description="Of the film.", json_schema_extra={"format": "uuid"})


class Health(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(Answer):
    """A model was loaded and has proved itself on its golden film."""

    status: Literal["ready"] = "ready"
    model: ModelAnswer


def _taken(answer: type[Answer], source: object) -> dict[str, Any]:
    """The fields of an answer that `source` has an attribute for."""
    return {name: getattr(source, name) for name in answer.model_fields if hasattr(source, name)}


def _heat_map(cam: NDArray[float32], picture_size: int | None) -> list[list[float]] | str:
    if picture_size is None:
        rows: list[list[float]] = cam.tolist()
        return rows
    from chest_xray.inference.heatmap import map_png

    return base64.b64encode(map_png(cam, picture_size)).decode("ascii")
