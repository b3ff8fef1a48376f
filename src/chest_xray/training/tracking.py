"""A training run in MLflow: parameters, curves, artifacts. The same code writes to sqlite, to a server and to AWS."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chest_xray.experiments import configure_mlflow, experiment_id

if TYPE_CHECKING:
    from chest_xray.settings import Settings

EXPERIMENT = "chest-xray"


class Tracker:
    """One MLflow run, found again by its id when training goes on."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self.run_id = run_id

    @classmethod
    def start(cls, settings: Settings, name: str, params: Mapping[str, object]) -> Tracker:
        """Create a run with its parameters."""
        client = configure_mlflow(settings)
        run_id = client.create_run(experiment_id(client, settings, EXPERIMENT), run_name=name).info.run_id
        for key, value in params.items():
            client.log_param(run_id, key, value)
        return cls(client, run_id)

    @classmethod
    def resume(cls, settings: Settings, run_id: str) -> Tracker:
        """Go on with a run after an interruption."""
        client = configure_mlflow(settings)
        client.update_run(run_id, status="RUNNING")
        return cls(client, run_id)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Add one point to each curve."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(self.run_id, [Metric(key, value, now, step) for key, value in values.items()])

    def artifact(self, path: Path) -> None:
        """Keep a file with the run."""
        self._client.log_artifact(self.run_id, str(path))

    def end(self, status: str) -> None:
        """Close the run as FINISHED or KILLED."""
        self._client.set_terminated(self.run_id, status)
