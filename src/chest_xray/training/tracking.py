"""A training run in MLflow: parameters, curves, artifacts. The same code writes to sqlite, to a server and to AWS."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from chest_xray.errors import TrainingError
from chest_xray.mlflow_store import configure_mlflow, experiment_id, one_line_errors
from chest_xray.settings import DEFAULT_MODEL, Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Tracker:
    """One MLflow run, found again by its id when training goes on. What MLflow refuses is a TrainingError."""

    def __init__(self, client: MlflowClient, settings: Settings, run_id: str) -> None:
        self._client = client
        self._settings = settings
        self.run_id = run_id

    @classmethod
    def start(cls, settings: Settings, name: str, params: Mapping[str, object]) -> Tracker:
        """Create a run with its parameters."""
        client = configure_mlflow(settings)
        with one_line_errors(settings, TrainingError):
            run_id = client.create_run(experiment_id(client, settings, DEFAULT_MODEL), run_name=name).info.run_id
            for key, value in params.items():
                client.log_param(run_id, key, value)
        return cls(client, settings, run_id)

    @classmethod
    def resume(cls, settings: Settings, run_id: str) -> Tracker | None:
        """Find a run again; None when this MLflow does not know it, as after a move to another CXR_HOME."""
        from mlflow.exceptions import MlflowException

        client = configure_mlflow(settings)
        with one_line_errors(settings, TrainingError):
            try:
                client.update_run(run_id, status="RUNNING")
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return None
                raise
        return cls(client, settings, run_id)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Add one point to each curve."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        with one_line_errors(self._settings, TrainingError):
            self._client.log_batch(self.run_id, [Metric(key, value, now, step) for key, value in values.items()])

    def artifact(self, path: Path) -> None:
        """Keep a file with the run."""
        with one_line_errors(self._settings, TrainingError):
            self._client.log_artifact(self.run_id, str(path))

    def end(self, status: str) -> None:
        """Close the run as FINISHED or KILLED."""
        with one_line_errors(self._settings, TrainingError):
            self._client.set_terminated(self.run_id, status)
