"""The model registry on MLflow: bundles, who registered them, and every decision on them.

A bundle is kept whole as the artifacts of an MLflow run of its own, and the model version points at that run. In this
way the same calls serve a sqlite file and a shared server, which refuses versions whose source is a folder of the
caller's machine. Artifacts cannot be made read-only there; the digest in the version's tags is what a bundle is held
to each time it leaves the registry.

What the promotion gate found is in tags of 256 characters (`gate_outcome`, `gate_champion`, `gate_summary`,
`gate_forced`) and whole in `gate_verdict`; the comparison behind it is an artifact beside the bundle.

Decisions are tags that are added and never changed, `decision_<time>_<random>`; the newest one is the version's state.
The plain tags (`approval_status`, `decided_by`, ...) repeat it for people who look at MLflow's own page.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chest_xray.backends.base import APPROVAL_STATUSES, ApprovalStatus, ModelVersion
from chest_xray.backends.local.registry_tags import (
    DECISION,
    Decision,
    gate_tags,
    read_decisions,
    read_version,
    registration_tags,
)
from chest_xray.backends.names import check_name
from chest_xray.bundle import Bundle, load_bundle
from chest_xray.console import say
from chest_xray.errors import BundleError, GateError, NotApprovedError, RegistryError, SettingsError
from chest_xray.lock import only_one
from chest_xray.mlflow_store import configure_mlflow, experiment_id, one_line_errors
from chest_xray.promotion.gate import SHORT, GateVerdict

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

    from chest_xray.evaluation.comparison.results import Comparison
    from chest_xray.settings import Settings

EXPERIMENT: Final = "registered-bundles"
COMPARISON: Final = "gate/comparison.json"
_ARTIFACT: Final = "bundle"
_PAGE: Final = 200


class Registry:
    """The models of one MLflow store."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = configure_mlflow(settings)

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
        busy = RegistryError("Another registration is under way. Run this again when it is done.")
        with only_one(self._settings.home_dir / "mlflow" / "register.lock", busy), self._one_line_errors():
            if (found := self._find(model_name, verified.digest)) is not None:
                return found
            _check_verdict(gate, self._champion(model_name), model_name)
            return self._add(verified, model_name, by, gate, comparison)

    def find(self, model_name: str, digest: str) -> ModelVersion | None:
        """The version that holds a bundle, by its digest, with a line that says so; None where the bundle is new."""
        with self._one_line_errors():
            return self._find(check_name("model", model_name), digest)

    def champion(self, model_name: str) -> ModelVersion | None:
        """The newest Approved version; None where there is none."""
        with self._one_line_errors():
            return self._champion(check_name("model", model_name))

    def models(self, model_name: str | None = None) -> list[ModelVersion]:
        """Every version of one model or of all, by name, newest last.

        Raises:
            RegistryError: the registry has no such model.
        """
        with self._one_line_errors():
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

    def decisions(self, model_name: str, version: int) -> list[Decision]:
        """Every decision on a version, oldest first. A version that was only registered has none."""
        self.get(model_name, version)
        with self._one_line_errors():
            return read_decisions(self._client.get_model_version(model_name, str(version)))

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
        tags = {
            f"{DECISION}{decision.at:%Y%m%dT%H%M%S.%fZ}_{uuid.uuid4().hex[:8]}": decision.model_dump_json(),
            "approval_status": status,
            "decided_by": decision.by,
            "decided_at": decision.at.isoformat(),
            "reason": decision.reason or "",
        }
        with self._one_line_errors():
            for key, value in tags.items():
                self._client.set_model_version_tag(model_name, str(version), key, value)
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
        with self._one_line_errors():
            run_id = self._client.get_model_version(model_name, str(version)).run_id
            copy = Path(self._client.download_artifacts(str(run_id), _ARTIFACT, str(into)))
        found = load_bundle(copy).digest
        if found != expected:
            raise BundleError(
                f"The registry's copy of {model_name} version {version} has the digest {found[:12]}..., expected "
                f"{expected[:12]}.... Register the bundle again."
            )
        return copy

    def _find(self, model_name: str, digest: str) -> ModelVersion | None:
        for found in self._versions(model_name):
            if found.digest == digest:
                say(f"{model_name} has this bundle already: version {found.version}, {found.status}.")
                return found
        return None

    def _champion(self, model_name: str) -> ModelVersion | None:
        versions = self._versions(model_name)
        return next((found for found in reversed(versions) if found.status == "Approved"), None)

    def _add(
        self, bundle: Bundle, model_name: str, by: str, gate: GateVerdict, comparison: Comparison | None
    ) -> ModelVersion:
        experiment = experiment_id(self._client, self._settings, EXPERIMENT)
        run = self._client.create_run(experiment, run_name=f"{model_name}-{bundle.digest[:12]}")
        self._client.log_artifacts(run.info.run_id, str(bundle.root), _ARTIFACT)
        if comparison is not None:
            self._client.log_text(run.info.run_id, comparison.model_dump_json(indent=2), COMPARISON)
        self._client.set_terminated(run.info.run_id)
        if model_name not in self._all_names():
            self._client.create_registered_model(model_name)
        # The version comes last and with its tags: there is no version without its bundle or its digest.
        added = self._client.create_model_version(
            model_name,
            source=f"{run.info.artifact_uri}/{_ARTIFACT}",
            run_id=run.info.run_id,
            tags=registration_tags(bundle, by) | gate_tags(gate),
        )
        return read_version(self._client.get_model_version(model_name, added.version))

    def _names(self) -> list[str]:
        return sorted(name for name in self._all_names() if self._versions(name))

    def _all_names(self) -> list[str]:
        names: list[str] = []
        token = None
        while True:
            page = self._client.search_registered_models(max_results=_PAGE, page_token=token)
            names += [model.name for model in page]
            token = page.token
            if not token:
                return names

    def _versions(self, model_name: str) -> list[ModelVersion]:
        """Versions that this project registered; a shared MLflow server may hold others."""
        found: list[MlflowVersion] = []
        token = None
        while True:
            page = self._client.search_model_versions(f"name = '{model_name}'", max_results=_PAGE, page_token=token)
            found += page
            token = page.token
            if not token:
                break
        ours = [read_version(version) for version in found if "bundle_digest" in version.tags]
        return sorted(ours, key=lambda version: version.version)

    def _one_line_errors(self) -> AbstractContextManager[None]:
        return one_line_errors(self._settings, RegistryError)


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


def _listed(names: Iterator[str] | list[str]) -> str:
    return ", ".join(names) or "none"
