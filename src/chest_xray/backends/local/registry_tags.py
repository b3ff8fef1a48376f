"""A registry version's tags: what registration, the gate and every decision write, and how they are read back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from chest_xray.backends.base import GateRecord, ModelVersion
from chest_xray.backends.registry import Decision, gate_record
from chest_xray.bundle import Bundle
from chest_xray.promotion.gate import GateVerdict

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

DECISION: Final = "decision_"


def registration_tags(bundle: Bundle, by: str) -> dict[str, str]:
    """What a version says of its bundle and of who registered it, now."""
    manifest = bundle.manifest
    return {
        "approval_status": "PendingManualApproval",
        "bundle_digest": bundle.digest,
        "registered_by": by,
        "registered_at": datetime.now(UTC).isoformat(),
        "mean_auroc": "" if manifest.mean_auroc is None else repr(manifest.mean_auroc),
        "label_version": manifest.provenance.label_version,
        "data_hash": manifest.provenance.data_hash,
        "git_revision": manifest.provenance.git_revision or "",
        "training_run": manifest.provenance.training_run or "",
    }


def read_version(version: MlflowVersion) -> ModelVersion:
    """A version that this project registered."""
    tags = version.tags
    decisions = read_decisions(version)
    last = decisions[-1] if decisions else None
    return ModelVersion(
        model_name=version.name,
        version=int(version.version),
        status=last.status if last else "PendingManualApproval",
        digest=tags["bundle_digest"],
        label_version=tags["label_version"],
        mean_auroc=float(tags["mean_auroc"]) if tags["mean_auroc"] else None,
        registered_by=tags["registered_by"],
        registered_at=datetime.fromisoformat(tags["registered_at"]),
        decided_by=last.by if last else None,
        decided_at=last.at if last else None,
        reason=last.reason if last else None,
        gate=_gate_record(tags),
    )


def gate_tags(gate: GateVerdict) -> dict[str, str]:
    """The verdict whole, and in values that SageMaker's registry has room for."""
    return {
        "gate_outcome": gate.outcome,
        "gate_champion": "" if gate.champion is None else str(gate.champion),
        "gate_summary": gate.summary,
        "gate_forced": gate.forced or "",
        "gate_verdict": gate.model_dump_json(),
    }


def _gate_record(tags: dict[str, str]) -> GateRecord | None:
    if "gate_verdict" not in tags:
        return None
    return gate_record(GateVerdict.model_validate_json(tags["gate_verdict"]))


def read_decisions(version: MlflowVersion) -> list[Decision]:
    """Every decision, oldest first: the keys begin with the time, so their order is the decisions' order."""
    keys = sorted(key for key in version.tags if key.startswith(DECISION))
    return [Decision.model_validate_json(version.tags[key]) for key in keys]
