"""MLflow, set up in one place: where training logs its runs and where the local registry keeps its models.

Without CXR_MLFLOW_TRACKING_URI that is a sqlite file and a folder under CXR_HOME/mlflow, opened directly: no server, no
port, nothing sent anywhere. `mlflow ui --backend-store-uri sqlite:///$CXR_HOME/mlflow/mlflow.db` shows it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from chest_xray.errors import ChestXrayError, SettingsError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from chest_xray.settings import Settings

_CHATTY: Final = ("mlflow", "alembic")


def configure_mlflow(settings: Settings) -> MlflowClient:
    """Point MLflow's tracking and registry at the settings' store, quietly, and return a client of it.

    Importing MLflow takes seconds, so it happens here. The sqlite file is made on first use.

    Raises:
        SettingsError: CXR_MLFLOW_TRACKING_URI is no address that MLflow can use.
    """
    # MLflow reads these when it is imported.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ["DO_NOT_TRACK"] = "true"
    import mlflow
    from mlflow.exceptions import MlflowException

    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = tracking_uri(settings)
    if settings.mlflow_tracking_uri is None:
        (settings.home_dir / "mlflow").mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except MlflowException as error:
        raise SettingsError(f"CXR_MLFLOW_TRACKING_URI is {uri!r}, which MLflow refuses: {error}") from error


@contextmanager
def one_line_errors(settings: Settings, error_type: type[ChestXrayError]) -> Iterator[None]:
    """Turn what MLflow refuses into an error of ours, of one line."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        first_line = re.sub(r"\s+", " ", str(error).strip())[:300]
        raise error_type(f"MLflow at {tracking_uri(settings)} refused: {first_line}") from error


def experiment_id(client: MlflowClient, settings: Settings, name: str) -> str:
    """The id of the experiment `name`, made on first use.

    Its files go to CXR_HOME/mlflow/artifacts, or where the MLflow server that the settings name puts them.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=_artifact_root(settings)))
        except MlflowException as error:
            # Another process made it between the two calls.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise error from None
    return str(found.experiment_id)


def tracking_uri(settings: Settings) -> str:
    """MLflow's address of runs and models."""
    if settings.mlflow_tracking_uri is not None:
        return settings.mlflow_tracking_uri
    return f"sqlite:///{(settings.home_dir / 'mlflow' / 'mlflow.db').as_posix()}"


def _artifact_root(settings: Settings) -> str | None:
    if settings.mlflow_tracking_uri is not None:
        return None
    return (settings.home_dir / "mlflow" / "artifacts").as_uri()
