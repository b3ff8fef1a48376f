"""A package's CustomerMetadataProperties: what registration, the gate and the last decision write, and back again.

AWS takes at most 50 pairs of 256 characters, none empty, of letters, digits, separators and `_ . : / = + - @` alone.
Any other character of a text stands as `=` and two hexadecimal digits for each of its UTF-8 bytes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from chest_xray.backends.base import ModelVersion
from chest_xray.backends.registry import Decision, gate_record
from chest_xray.bundle import Bundle
from chest_xray.promotion.gate import GateVerdict

LONGEST: Final = 256
OUTSIDE: Final = "someone outside of cxr"
_PLAIN: Final = frozenset("_.:/+-@")
_NO_REASON: Final = "No reason was given."

Metadata = dict[str, str]


def encode(text: str) -> str:
    """A text in the characters that AWS takes, cut to what it has room for."""
    written = ""
    for character in text:
        more = character if _is_plain(character) else "".join(f"={byte:02X}" for byte in character.encode())
        if len(written) + len(more) > LONGEST:
            break
        written += more
    return written


def decode(value: str) -> str:
    """The text of an encoded value."""
    coded = re.compile(r"(?:=[0-9A-F]{2})+")
    return coded.sub(lambda found: bytes.fromhex(found[0].replace("=", "")).decode("utf-8", "replace"), value)


def _is_plain(character: str) -> bool:
    return character in _PLAIN or unicodedata.category(character)[0] in "LNZ"


def registration_metadata(bundle: Bundle, by: str, at: datetime, gate: GateVerdict) -> Metadata:
    """What a package says of its bundle, of who registered it, and of the gate's verdict."""
    provenance = bundle.manifest.provenance
    mean = bundle.manifest.mean_auroc
    texts = {
        "bundle_digest": bundle.digest,
        "registered_by": by,
        "registered_at": at.isoformat(),
        "mean_auroc": "" if mean is None else repr(mean),
        "label_version": provenance.label_version,
        "data_hash": provenance.data_hash,
        "git_revision": provenance.git_revision or "",
        "training_run": provenance.training_run or "",
        "gate_outcome": gate.outcome,
        "gate_champion": "" if gate.champion is None else str(gate.champion),
        "gate_summary": gate.summary,
        "gate_forced": gate.forced or "",
    }
    return {name: encode(text) for name, text in texts.items() if text}


def is_ours(package: Mapping[str, Any]) -> bool:
    """Whether this project registered a package; a group may hold others."""
    return "bundle_digest" in package.get("CustomerMetadataProperties", {})


def decision_members(decision: Decision, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Members of an UpdateModelPackage that decides. All metadata are sent again: none is lost, however AWS merges."""
    own = {"decided_status": decision.status, "decided_by": decision.by, "decided_at": decision.at.isoformat()}
    return {
        "ModelApprovalStatus": decision.status,
        # An absent description would leave an earlier decision's.
        "ApprovalDescription": decision.reason or _NO_REASON,
        "CustomerMetadataProperties": {**metadata, **{name: encode(text) for name, text in own.items()}},
    }


def read_package(package: Mapping[str, Any], verdict: GateVerdict) -> ModelVersion:
    """A version as DescribeModelPackage shows it, with the gate's verdict that lies beside its bundle.

    The state is AWS's own. Where somebody changed it without `cxr`, the last one who modified the package decided.
    """
    metadata = {name: decode(value) for name, value in package["CustomerMetadataProperties"].items()}
    by, at, reason = _decided(package, metadata)
    return ModelVersion(
        model_name=package["ModelPackageGroupName"],
        version=int(package["ModelPackageVersion"]),
        status=package["ModelApprovalStatus"],
        digest=metadata["bundle_digest"],
        label_version=metadata["label_version"],
        mean_auroc=float(metadata["mean_auroc"]) if "mean_auroc" in metadata else None,
        registered_by=metadata["registered_by"],
        registered_at=datetime.fromisoformat(metadata["registered_at"]),
        decided_by=by,
        decided_at=at,
        reason=reason,
        gate=gate_record(verdict),
    )


def _decided(package: Mapping[str, Any], metadata: Mapping[str, str]) -> tuple[str | None, datetime | None, str | None]:
    status, said = package["ModelApprovalStatus"], package.get("ApprovalDescription") or None
    if metadata.get("decided_status") == status:
        return (
            metadata["decided_by"],
            datetime.fromisoformat(metadata["decided_at"]),
            None if said == _NO_REASON else said,
        )
    if "decided_status" not in metadata and status == "PendingManualApproval":
        return None, None, None
    name = package.get("LastModifiedBy", {}).get("UserProfileName")
    return name or OUTSIDE, package.get("LastModifiedTime"), said
