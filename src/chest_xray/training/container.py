"""`python -m chest_xray.training.container`: `cxr train` as a SageMaker training container runs it.

SageMaker writes hyperparameters (as strings) and the channels below /opt/ml, keeps /opt/ml/checkpoints across spot
interruptions, and packs /opt/ml/model. The channel `shards` has the data; `config`, where it is there, the whole
configuration as `config.json`, of which a hyperparameter replaces a value; `init` may have weights to start from. The
first 1,024 characters of /opt/ml/output/failure become the job's FailureReason.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from chest_xray.errors import SettingsError
from chest_xray.job import run_job
from chest_xray.settings import load_settings
from chest_xray.training.config import TrainConfig

CHANNEL = "shards"
CONFIG_CHANNEL = "config"
CONFIG_FILE = "config.json"
INIT_CHANNEL = "init"
FAILURE_CHARACTERS = 1024


def run_container(root: Path) -> int:
    """Train under the contract in `root`; returns the exit code: 0 Completed, 1 Failed, 130 stopped by a signal."""
    from chest_xray.training.train import train

    def act() -> None:
        config = read_config(root)
        # A configuration names first weights from here, so that it is the same wherever `root` lies.
        with contextlib.chdir(root):
            train(root / "input" / "data" / CHANNEL, root, config, load_settings())

    return run_job(act, root / "output" / "failure", FAILURE_CHARACTERS)


def read_config(root: Path) -> TrainConfig:
    """The configuration of the channel, with the hyperparameters in place of its values.

    Raises:
        SettingsError: one of them is not a JSON object, or has a value that cannot be used.
    """
    values = _read_object(root / "input" / "data" / CONFIG_CHANNEL / CONFIG_FILE) | read_hyperparameters(root)
    return TrainConfig.from_hyperparameters(values)


def read_hyperparameters(root: Path) -> dict[str, str]:
    """The job's hyperparameters; none when SageMaker wrote no file.

    Raises:
        SettingsError: the file is not a JSON object.
    """
    return _read_object(root / "input" / "config" / "hyperparameters.json")


def _read_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_bytes())
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}.") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{path} holds a {type(values).__name__}; expected a JSON object.")
    return values


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train as a SageMaker training container.")
    parser.add_argument("--root", type=Path, default=Path("/opt/ml"), help="default: /opt/ml")
    sys.exit(run_container(parser.parse_args().root.resolve()))
