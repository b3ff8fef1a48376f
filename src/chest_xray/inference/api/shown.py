"""POST /v1/events/{event_id}/shown: withheld scores of a film are shown; the audit log says to whom."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import FastAPI, Request

from chest_xray.inference.answers import ShownAnswer
from chest_xray.inference.api.openapi import SHOWN_PROBLEMS
from chest_xray.inference.api.predictions import caller_of
from chest_xray.inference.service import PredictionService
from chest_xray.records.audit import Audit, ShownEntry


def add_shown(app: FastAPI, service: PredictionService, audit: Audit | None) -> None:
    """Add the route to `app`."""

    @app.post(
        "/v1/events/{event_id}/shown",
        summary="The withheld scores of a film are shown",
        status_code=HTTPStatus.CREATED,
        responses=SHOWN_PROBLEMS,
    )
    async def shown(event_id: UUID, request: Request) -> ShownAnswer:
        entry = ShownEntry(
            time=datetime.now(UTC),
            request_id=request.state.request_id,
            caller=caller_of(request),
            event_id=str(event_id),
            model=service.identity,
        )
        if audit is not None:
            await run_sync(audit.record, entry)
        return ShownAnswer(request_id=entry.request_id, event_id=entry.event_id)
