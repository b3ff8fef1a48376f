"""What every registry of models does alike: who comes in, who is the champion, and who may decide what.

A backend says where versions and decisions are kept. Decisions are added and never changed; the newest one is the
version's state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ConfigDict

from chest_xray.backends.base import APPROVAL_STATUSES, ApprovalStatus, GateRecord, ModelVersion
from chest_xray.backends.names import check_name
from chest_xray.bundle import Bundle, load_bundle
from chest_xray.console import say
from chest_xray.errors import BundleError, GateError, NotApprovedError, RegistryError, SettingsError
from chest_xray.promotion.gate import SHORT, GateVerdict

if TYPE_CHECKING:
    from pathlib import Path

    from chest_xray.evaluation.comparison.results import Comparison


class Decision(BaseModel):
    """Who set a version's state, when (UTC) and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: ApprovalStatus
    by: str
    at: AwareDatetime
    reason: str | None


def gate_record(verdict: GateVerdict) -> GateRecord:
    """What a version shows of the verdict with which it came in."""
    return GateRecord(verdict.outcome, verdict.champion, verdict.summary, verdict.forced, tuple(verdict.reasons))


class ModelRegistry(ABC):
    """The models of one store."""

    def register(
        self, bundle: Path, *, model_name: str, by: str, gate: GateVerdict, comparison: Comparison | None = None
    ) -> ModelVersion:
        """Copy a bundle in as the next version of `model_name`, PendingManualApproval, with the gate's verdict.

        A bundle that the model already has is not added again: its version is returned, and a line says so.

        Raises:
            BundleError: the bundle is incomplete or altered.
            GateError: the verdict is no pass and nobody forces it, or it is against another champion than today's.
        """
        check_name("model", model_name)
        by = _person(by)
        verified = load_bundle(bundle)
        with self._alone():
            if (found := self._find(model_name, verified.digest)) is not None:
                return found
            _check_verdict(gate, self.champion(model_name), model_name)
            return self._add(verified, model_name, by, gate, comparison)

    def find(self, model_name: str, digest: str) -> ModelVersion | None:
        """The version that holds a bundle, by its digest, with a line that says so; None where the bundle is new."""
        return self._find(check_name("model", model_name), digest)

    def champion(self, model_name: str) -> ModelVersion | None:
        """The newest Approved version; None where there is none."""
        versions = self._versions(check_name("model", model_name))
        return next((found for found in reversed(versions) if found.status == "Approved"), None)

    def models(self, model_name: str | None = None) -> list[ModelVersion]:
        """Every version of one model or of all, by name, newest last.

        Raises:
            RegistryError: the registry has no such model.
        """
        if model_name is None:
            return [version for name in self._names() for version in self._versions(name)]
        versions = self._versions(check_name("model", model_name))
        if not versions:
            raise RegistryError(
                f"The registry has no model {model_name}. It has: {_listed(self._names())}. "
                f"Register one: `cxr register --bundle BUNDLE --model-name {model_name}`."
            )
        return versions

    def get(self, model_name: str, version: int) -> ModelVersion:
        """One version.

        Raises:
            RegistryError: the registry has no such model or version.
        """
        versions = {found.version: found for found in self.models(model_name)}
        if version not in versions:
            raise RegistryError(f"{model_name} has no version {version}. It has: {_listed(map(str, versions))}.")
        return versions[version]

    def set_approval(
        self, model_name: str, version: int, status: ApprovalStatus, *, by: str, reason: str | None
    ) -> ModelVersion:
        """Add a decision on a version. Earlier decisions stay; the last one, said again word by word, is not added.

        Raises:
            RegistryError: the registry has no such model or version.
            SettingsError: `status` is no state, or `by` names nobody.
            GateError: it is to be approved without a reason, and was not compared with today's champion or did not
                pass the gate.
        """
        if status not in APPROVAL_STATUSES:
            raise SettingsError(f"status is {status!r}; expected one of {', '.join(APPROVAL_STATUSES)}.")
        decision = Decision(status=status, by=_person(by), at=datetime.now(UTC), reason=(reason or "").strip() or None)
        found = self.get(model_name, version)
        if (found.status, found.decided_by, found.reason) == (decision.status, decision.by, decision.reason):
            say(f"{model_name} version {version} is {status} already: nothing to do.")
            return found
        if status == "Approved" and decision.reason is None:
            _check_gate(found, self.champion(model_name))
        self._decide(model_name, version, decision)
        return self.get(model_name, version)

    def approved(self, model_name: str, version: int | None) -> ModelVersion:
        """The version to deploy: the one asked for, else the newest Approved one.

        Raises:
            NotApprovedError: it, or every version, is not Approved.
            RegistryError: the registry has no such model or version.
        """
        if version is not None:
            chosen = self.get(model_name, version)
        else:
            versions = self.models(model_name)
            chosen = next((found for found in reversed(versions) if found.status == "Approved"), versions[-1])
        if chosen.status != "Approved":
            which = "" if version is not None else f"No version of {model_name} is Approved. "
            raise NotApprovedError(
                f"{which}{model_name} version {chosen.version} is {chosen.status}; only Approved versions are "
                f"deployed. Review it, then run `cxr approve {model_name} --version {chosen.version}`."
            )
        return chosen

    def fetch(self, model_name: str, version: int, into: Path) -> Path:
        """Copy a version's bundle below the folder `into` and verify that it is the one that was registered.

        Raises:
            BundleError: the registry's copy was altered.
        """
        expected = self.get(model_name, version).digest
        copy = self._copy(model_name, version, into)
        found = load_bundle(copy).digest
        if found != expected:
            raise BundleError(
                f"The registry's copy of {model_name} version {version} has the digest {found[:12]}..., expected "
                f"{expected[:12]}.... Register the bundle again."
            )
        return copy

    @abstractmethod
    def decisions(self, model_name: str, version: int) -> list[Decision]:
        """Every decision on a version, oldest first. A version that was only registered has none."""

    @abstractmethod
    def _alone(self) -> AbstractContextManager[None]:
        """Held while a version is added."""

    @abstractmethod
    def _names(self) -> list[str]:
        """Models that have versions of this project's, in order."""

    @abstractmethod
    def _versions(self, model_name: str) -> list[ModelVersion]:
        """Versions that this project registered, newest last; none where there is no such model."""

    @abstractmethod
    def _add(
        self, bundle: Bundle, model_name: str, by: str, gate: GateVerdict, comparison: Comparison | None
    ) -> ModelVersion:
        """Keep a new version, whole or not at all."""

    @abstractmethod
    def _decide(self, model_name: str, version: int, decision: Decision) -> None:
        """Keep a decision."""

    @abstractmethod
    def _copy(self, model_name: str, version: int, into: Path) -> Path:
        """Copy a version's bundle below `into`; returns where."""

    def _find(self, model_name: str, digest: str) -> ModelVersion | None:
        for found in self._versions(model_name):
            if found.digest == digest:
                say(f"{model_name} has this bundle already: version {found.version}, {found.status}.")
                return found
        return None


def _check_verdict(gate: GateVerdict, champion: ModelVersion | None, model_name: str) -> None:
    """Hold a verdict to the champion of the moment at which the version is added."""
    if gate.outcome != "passed" and not gate.forced:
        raise GateError(f"The gate's verdict is {gate.summary}. Give a reason to register the bundle all the same.")
    if len(gate.forced or "") > SHORT:
        raise SettingsError(f"the reason has {len(gate.forced or '')} characters; at most {SHORT} are kept.")
    current = (None, None) if champion is None else (champion.version, champion.digest)
    if (gate.champion, gate.champion_digest) != current:
        raise GateError(f"Another version of {model_name} was approved in the meantime. Run the registration again.")


def _check_gate(version: ModelVersion, champion: ModelVersion | None) -> None:
    """What may be approved without a word: a version that passed the gate against the champion of today."""
    name, gate = f"{version.model_name} version {version.version}", version.gate
    if gate is None:
        found = "was registered without the promotion gate"
    elif gate.outcome != "passed":
        found = f"did not pass the gate ({gate.summary})"
    elif champion is not None and champion.version not in (version.version, gate.champion):
        found = f"was not compared with version {champion.version}, which is Approved"
    else:
        return
    raise GateError(f"{name} {found}. Say why it is approved all the same: --reason WHY.")


def _person(by: str) -> str:
    name = " ".join(by.split())
    if not name:
        raise SettingsError("by is empty: say who registers or decides, for example --by 'A. Meyer'.")
    return name


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
