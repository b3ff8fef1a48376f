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
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chest_xray.backends.base import ModelVersion
from chest_xray.backends.local.registry_tags import (
    DECISION,
    gate_tags,
    read_decisions,
    read_version,
    registration_tags,
)
from chest_xray.backends.registry import Decision, ModelRegistry
from chest_xray.bundle import Bundle
from chest_xray.errors import RegistryError
from chest_xray.lock import only_one
from chest_xray.mlflow_store import configure_mlflow, experiment_id, one_line_errors
from chest_xray.promotion.gate import GateVerdict

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

    from chest_xray.evaluation.comparison.results import Comparison
    from chest_xray.settings import Settings

EXPERIMENT: Final = "registered-bundles"
COMPARISON: Final = "gate/comparison.json"
_ARTIFACT: Final = "bundle"
_PAGE: Final = 200


class Registry(ModelRegistry):
    """The models of one MLflow store. What MLflow refuses is a RegistryError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = configure_mlflow(settings)

    def decisions(self, model_name: str, version: int) -> list[Decision]:
        """Every decision on a version, oldest first. A version that was only registered has none."""
        self.get(model_name, version)
        with self._one_line_errors():
            return read_decisions(self._client.get_model_version(model_name, str(version)))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        busy = RegistryError("Another registration is under way. Run this again when it is done.")
        with only_one(self._settings.home_dir / "mlflow" / "register.lock", busy):
            yield

    def _add(
        self, bundle: Bundle, model_name: str, by: str, gate: GateVerdict, comparison: Comparison | None
    ) -> ModelVersion:
        with self._one_line_errors():
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

    def _decide(self, model_name: str, version: int, decision: Decision) -> None:
        tags = {
            f"{DECISION}{decision.at:%Y%m%dT%H%M%S.%fZ}_{uuid.uuid4().hex[:8]}": decision.model_dump_json(),
            "approval_status": decision.status,
            "decided_by": decision.by,
            "decided_at": decision.at.isoformat(),
            "reason": decision.reason or "",
        }
        with self._one_line_errors():
            for key, value in tags.items():
                self._client.set_model_version_tag(model_name, str(version), key, value)

    def _copy(self, model_name: str, version: int, into: Path) -> Path:
        with self._one_line_errors():
            run_id = self._client.get_model_version(model_name, str(version)).run_id
            return Path(self._client.download_artifacts(str(run_id), _ARTIFACT, str(into)))

    def _names(self) -> list[str]:
        return sorted(name for name in self._all_names() if self._versions(name))

    def _all_names(self) -> list[str]:
        names: list[str] = []
        token = None
        with self._one_line_errors():
            while True:
                page = self._client.search_registered_models(max_results=_PAGE, page_token=token)
                names += [model.name for model in page]
                token = page.token
                if not token:
                    return names

    def _versions(self, model_name: str) -> list[ModelVersion]:
        """A shared MLflow server may hold others beside this project's."""
        found: list[MlflowVersion] = []
        token = None
        with self._one_line_errors():
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
