"""The model registry on MLflow: bundles, who registered them, and every decision on them.

A bundle is kept whole as the artifacts of an MLflow run of its own, and the model version points at that run. In this
way the same calls serve a sqlite file and a shared server, which refuses versions whose source is a folder of the
caller's machine. Artifacts cannot be made read-only there; the digest in the version's tags is what a bundle is held
to each time it leaves the registry.

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

from pydantic import AwareDatetime, BaseModel, ConfigDict

from chest_xray.backends.base import APPROVAL_STATUSES, ApprovalStatus, ModelVersion
from chest_xray.backends.local.names import check_name
from chest_xray.bundle import Bundle, load_bundle
from chest_xray.console import say
from chest_xray.errors import BundleError, NotApprovedError, RegistryError, SettingsError
from chest_xray.experiments import configure_mlflow, experiment_id, one_line_errors
from chest_xray.lock import only_one

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

    from chest_xray.settings import Settings

EXPERIMENT: Final = "registered-bundles"
_ARTIFACT: Final = "bundle"
_DECISION: Final = "decision_"
_PAGE: Final = 200


class Decision(BaseModel):
    """Who set a version's state, when (UTC) and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: ApprovalStatus
    by: str
    at: AwareDatetime
    reason: str | None


class Registry:
    """The models of one MLflow store."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = configure_mlflow(settings)

    def register(self, bundle: Path, *, model_name: str, by: str) -> ModelVersion:
        """Copy a bundle in as the next version of `model_name`, PendingManualApproval.

        A bundle that the model already has is not added again: its version is returned, and a line says so.

        Raises:
            BundleError: the bundle is incomplete or altered.
        """
        check_name("model", model_name)
        by = _person(by)
        verified = load_bundle(bundle)
        busy = RegistryError("Another registration is under way. Run this again when it is done.")
        with only_one(self._settings.home_dir / "mlflow" / "register.lock", busy), self._one_line_errors():
            for found in self._versions(model_name):
                if found.digest == verified.digest:
                    say(f"{model_name} has this bundle already: version {found.version}, {found.status}.")
                    return found
            return self._add(verified, model_name, by)

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
            return _decisions(self._client.get_model_version(model_name, str(version)))

    def set_approval(
        self, model_name: str, version: int, status: ApprovalStatus, *, by: str, reason: str | None
    ) -> ModelVersion:
        """Add a decision on a version. Earlier decisions stay; the last one, said again word by word, is not added.

        Raises:
            RegistryError: the registry has no such model or version.
            SettingsError: `status` is no state, or `by` names nobody.
        """
        if status not in APPROVAL_STATUSES:
            raise SettingsError(f"status is {status!r}; expected one of {', '.join(APPROVAL_STATUSES)}.")
        decision = Decision(status=status, by=_person(by), at=datetime.now(UTC), reason=reason or None)
        found = self.get(model_name, version)
        if (found.status, found.decided_by, found.reason) == (decision.status, decision.by, decision.reason):
            say(f"{model_name} version {version} is {status} already: nothing to do.")
            return found
        tags = {
            f"{_DECISION}{decision.at:%Y%m%dT%H%M%S.%fZ}_{uuid.uuid4().hex[:8]}": decision.model_dump_json(),
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

    def _add(self, bundle: Bundle, model_name: str, by: str) -> ModelVersion:
        experiment = experiment_id(self._client, self._settings, EXPERIMENT)
        run = self._client.create_run(experiment, run_name=f"{model_name}-{bundle.digest[:12]}")
        self._client.log_artifacts(run.info.run_id, str(bundle.root), _ARTIFACT)
        self._client.set_terminated(run.info.run_id)
        if model_name not in self._all_names():
            self._client.create_registered_model(model_name)
        # The version comes last and with its tags: there is no version without its bundle or its digest.
        added = self._client.create_model_version(
            model_name,
            source=f"{run.info.artifact_uri}/{_ARTIFACT}",
            run_id=run.info.run_id,
            tags=_registration_tags(bundle, by),
        )
        return _read(self._client.get_model_version(model_name, added.version))

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
        ours = [_read(version) for version in found if "bundle_digest" in version.tags]
        return sorted(ours, key=lambda version: version.version)

    def _one_line_errors(self) -> AbstractContextManager[None]:
        return one_line_errors(self._settings, RegistryError)


def _registration_tags(bundle: Bundle, by: str) -> dict[str, str]:
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


def _read(version: MlflowVersion) -> ModelVersion:
    tags = version.tags
    decisions = _decisions(version)
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
    )


def _decisions(version: MlflowVersion) -> list[Decision]:
    """The keys begin with the time, so their order is the decisions' order."""
    keys = sorted(key for key in version.tags if key.startswith(_DECISION))
    return [Decision.model_validate_json(version.tags[key]) for key in keys]


def _person(by: str) -> str:
    name = " ".join(by.split())
    if not name:
        raise SettingsError("by is empty: say who registers or decides, for example --by 'A. Meyer'.")
    return name


def _listed(names: Iterator[str] | list[str]) -> str:
    return ", ".join(names) or "none"
