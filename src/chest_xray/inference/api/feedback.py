"""POST /v1/feedback: what a reader says of the findings of a film that was scored, kept as ground truth."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, ValidationInfo, field_validator
from starlette.responses import Response

from chest_xray.bundle import Sha256
from chest_xray.errors import GroundTruthError
from chest_xray.images.limits import Limits
from chest_xray.inference.answers import FeedbackAnswer
from chest_xray.inference.api.openapi import FEEDBACK_PROBLEMS
from chest_xray.inference.api.predictions import caller_of
from chest_xray.inference.http.problems import ApiError
from chest_xray.inference.http.uploads import content_type, read_body
from chest_xray.inference.service import PredictionService
from chest_xray.records.audit import Audit, FeedbackEntry
from chest_xray.records.ground_truth import GroundTruth, GroundTruthLog

FEEDBACK: Final = "/v1/feedback"
JSON: Final = "application/json"
MAX_NOTE: Final = 500
_LIMITS: Final = Limits(max_bytes=64 * 1024)
_RETRY_SECONDS: Final = 10
_log: Final = logging.getLogger("chest_xray.errors")

_MONTH: Final = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
# What looks like a patient's or a study's number, a date, or an address. Names no rule can find.
_IDENTIFYING: Final = re.compile(
    rf"\d{{5}}|\d{{1,4}}\s?[-./]\s?\d{{1,2}}\s?[-./]\s?\d{{1,4}}|\d{{1,2}}\.?\s*{_MONTH}\s*\d{{2,4}}|{_MONTH}\s*\d{{1,2}},?\s*\d{{4}}|@",
    re.IGNORECASE,
)
_EXPECTED: Final = {
    "event_id": "the event_id of an answer, a UUID",
    "model_digest": "the digest of the model that answered, 64 hexadecimal digits",
    "findings": "an object with true (present) or false (absent) for findings among",
    "note": f"text of at most {MAX_NOTE} characters",
}


class Feedback(BaseModel):
    """The body: what a reader says of one film that was scored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_id: UUID = Field(description="Of the answer that is judged.")
    model_digest: Sha256 = Field(description="Of the model that gave it.")
    findings: Annotated[
        dict[str, StrictBool],
        Field(description="The findings that the reader judged: true for present, false for absent."),
    ]
    note: str = Field(default="", max_length=MAX_NOTE, description="Nothing that names a patient.")

    @field_validator("findings")
    @classmethod
    def _check_names(cls, findings: dict[str, bool], info: ValidationInfo) -> dict[str, bool]:
        """The context is the model's findings."""
        if not findings.keys() <= set(info.context or ()):
            raise ValueError("unknown finding")
        return findings


def _body(findings: Sequence[str]) -> dict[str, Any]:
    """What the document says of the body, for a model of these findings."""
    schema = Feedback.model_json_schema()
    schema["properties"]["findings"]["propertyNames"] = {"enum": list(findings)}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


def add_feedback(app: FastAPI, service: PredictionService, truth: GroundTruthLog | None, audit: Audit | None) -> None:
    """Add the route to `app`. Without `truth` it answers that feedback is not kept here."""
    findings = tuple(service.predictor.manifest.findings)

    @app.post(
        FEEDBACK,
        summary="What a reader says of a film's findings",
        status_code=HTTPStatus.CREATED,
        response_model=FeedbackAnswer,
        responses=FEEDBACK_PROBLEMS,
        openapi_extra=_body(findings),
    )
    async def give(request: Request) -> Response:
        content_type(request, (JSON,))
        feedback = parse_feedback(await read_body(request, _LIMITS), findings)
        if truth is None:
            raise _off()
        _check(feedback, service.identity.digest)
        entry = FeedbackEntry(
            time=datetime.now(UTC),
            request_id=request.state.request_id,
            caller=caller_of(request),
            event_id=str(feedback.event_id),
            model=service.identity,
        )
        await run_sync(_Keeping(truth, audit).keep, feedback, entry)
        answer = FeedbackAnswer(request_id=entry.request_id, event_id=entry.event_id)
        return Response(answer.model_dump_json(), HTTPStatus.CREATED, media_type=JSON)


def parse_feedback(body: bytes, findings: Sequence[str]) -> Feedback:
    """Read a body on a model of these findings.

    Raises:
        ApiError: 422; says which field is not as expected, and nothing of what stands there.
    """
    try:
        return Feedback.model_validate_json(body, context=findings)
    except ValidationError as error:
        raise _invalid(_describe(error, findings)) from None


def looks_identifying(note: str) -> bool:
    """Whether a note holds five digits in a row, a date or an @, as a number, a birthday or an address does."""
    return _IDENTIFYING.search(note) is not None


@dataclass(frozen=True, slots=True)
class _Keeping:
    """Where feedback goes."""

    truth: GroundTruthLog
    audit: Audit | None

    def keep(self, feedback: Feedback, entry: FeedbackEntry) -> None:
        """Record who judges, then keep the judgement: none is kept that the audit log does not have."""
        if self.audit is not None:
            self.audit.record(entry)
        try:
            self.truth.write(GroundTruth(entry.event_id, feedback.findings, feedback.note), entry.time)
        except GroundTruthError as error:
            _log.error("%s: %s", entry.request_id, error)
            raise _unwritable() from error


def _check(feedback: Feedback, digest: str) -> None:
    if feedback.model_digest != digest:
        raise ApiError(
            HTTPStatus.CONFLICT,
            "model_changed",
            "The film was scored by another model than the one that answers here now. Score it again, then judge.",
        )
    if not feedback.findings and not feedback.note:
        raise _invalid("It has neither a finding nor a note. Send at least one.")
    if looks_identifying(feedback.note):
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "note_identifying",
            "The note has five digits in a row, a date or an @, which may name a patient. Write what is seen on the "
            "film only.",
        )


def _describe(error: ValidationError, findings: Sequence[str]) -> str:
    first = error.errors(include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return "It is no JSON."
    if first["type"] == "extra_forbidden":
        # The field's name is the caller's own text.
        return f"It has an unknown field. Known: {', '.join(_EXPECTED)}."
    name = str(first["loc"][0]) if first["loc"] else ""
    if name not in _EXPECTED:
        return "It is no JSON object."
    names = f" {', '.join(findings)}" if name == "findings" else ""
    is_there = "missing" if first["type"] == "missing" else "something else"
    return f"{name} is {is_there}; expected {_EXPECTED[name]}{names}."


def _invalid(detail: str) -> ApiError:
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "feedback_invalid", f"The body cannot be used. {detail}")


def _off() -> ApiError:
    return ApiError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "feedback_off",
        "This server keeps no feedback: it was started without a folder for it.",
        headers={"Retry-After": "3600"},
    )


def _unwritable() -> ApiError:
    return ApiError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "feedback_unwritable",
        "The feedback cannot be written, so nothing of it was kept. The server's log has the reason.",
        headers={"Retry-After": str(_RETRY_SECONDS)},
    )
