"""Experiments: a name is made once, and a job's experiment must be there. moto makes one over another."""

from __future__ import annotations

import json
import threading
from typing import Any

from moto.core.responses import ActionResult
from moto.sagemaker.responses import SageMakerResponse

from chest_xray.emulator.operations.checks import hold_to_service_model, refuse


def install() -> None:
    """Answer CreateExperiment from here."""
    first = SageMakerResponse.create_experiment
    lock = threading.Lock()

    def create_experiment(self: SageMakerResponse) -> ActionResult:
        request = json.loads(self.body)
        hold_to_service_model("CreateExperiment", request)
        with lock:
            if request["ExperimentName"] in self.sagemaker_backend.experiments:
                refuse(f"Experiment names must be unique within an AWS account; {request['ExperimentName']} exists.")
            made: ActionResult = first(self)
            return made

    setattr(SageMakerResponse, create_experiment.__name__, create_experiment)


def check_experiment(request: dict[str, Any], experiments: dict[str, Any]) -> None:
    """Refuse a job of an experiment that does not exist.

    Raises:
        ValidationError: it does not.
    """
    name = request.get("ExperimentConfig", {}).get("ExperimentName")
    if name is not None and name not in experiments:
        refuse(f"Experiment {name} does not exist.")
