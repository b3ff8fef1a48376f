"""SageMaker's experiments, under which jobs are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chest_xray.errors import CloudError
from chest_xray.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    from chest_xray.backends.sagemaker.aws import Aws


def experiment_config(job: str) -> dict[str, str]:
    """A request's ExperimentConfig; the experiment must exist before the job."""
    return {"ExperimentName": DEFAULT_MODEL, "TrialComponentDisplayName": job}


def experiment_request() -> dict[str, Any]:
    """A CreateExperiment."""
    return {"ExperimentName": DEFAULT_MODEL, "Description": "Chest X-ray findings: preparation and training."}


def make_experiment(aws: Aws) -> None:
    """Make the experiment, unless it is there.

    Raises:
        CloudError: AWS refused.
    """
    try:
        aws.call("sagemaker", "create_experiment", **experiment_request())
    except CloudError as error:
        if "already exists" not in str(error) and "must be unique" not in str(error):
            raise
