"""`python -m chest_xray.training.container`: `cxr train` as a SageMaker training container runs it.

SageMaker writes hyperparameters (as strings) and the channel `shards` below /opt/ml, keeps /opt/ml/checkpoints across
spot interruptions, and packs /opt/ml/model. The first 1,024 characters of /opt/ml/output/failure become the job's
FailureReason.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from chest_xray.console import say
from chest_xray.errors import ChestXrayError, SettingsError
from chest_xray.settings import load_settings
from chest_xray.training.config import TrainConfig

CHANNEL = "shards"
FAILURE_CHARACTERS = 1024


def run_container(root: Path) -> int:
    """Train under the contract in `root`; returns the exit code: 0 Completed, 1 Failed, 130 stopped by a signal."""
    from chest_xray.training.train import train

    try:
        config = TrainConfig.from_hyperparameters(read_hyperparameters(root))
        train(root / "input" / "data" / CHANNEL, root, config, load_settings())
    except KeyboardInterrupt:
        return 130
    except (ChestXrayError, OSError) as error:
        say(f"error: {error}")
        _report(root, str(error))
        return 1
    except Exception as error:
        # Not a user's mistake: the job's FailureReason names it, and the traceback goes to the log.
        _report(root, f"{type(error).__name__}: {error}")
        raise
    return 0


def _report(root: Path, reason: str) -> None:
    failure = root / "output" / "failure"
    failure.parent.mkdir(parents=True, exist_ok=True)
    failure.write_text(reason[:FAILURE_CHARACTERS], encoding="utf-8")


def read_hyperparameters(root: Path) -> dict[str, str]:
    """The job's hyperparameters; none when SageMaker wrote no file.

    Raises:
        SettingsError: the file is not a JSON object.
    """
    path = root / "input" / "config" / "hyperparameters.json"
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_bytes())
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}.") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{path} holds a {type(values).__name__}; expected a JSON object of strings.")
    return values


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train as a SageMaker training container.")
    parser.add_argument("--root", type=Path, default=Path("/opt/ml"), help="default: /opt/ml")
    sys.exit(run_container(parser.parse_args().root))
