"""The entry of the images in docker/: `IMAGE train` and `IMAGE serve`, as SageMaker runs them.

SageMaker runs containers as root and makes the folders below /opt/ml for root. As root, this makes the output folders
the image's own user's, becomes that user for good, and goes on in the same process: the one that the runtime signals is
what trains or serves. As any other user it goes on as it is.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from chest_xray.errors import ChestXrayError, SettingsError

OPT_ML: Final = Path("/opt/ml")
USER: Final = 10001  # and group; docker/Dockerfile makes them
# What a training job leaves, and what is kept across spot interruptions.
_WRITTEN: Final = ("model", "output", "output/data", "checkpoints")
_ENDED_BY_SIGTERM: Final = 128 + signal.SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command of the image; returns the exit code.

    `train` ends with 0 only once the trained model is complete, with 1 and /opt/ml/output/failure after a failure, and
    with 130 after SIGTERM, when the checkpoint is saved. `serve` ends with 0 after SIGTERM. What a user can mend is 2.
    """
    # The first process of a container does not get signals that it has no handler for.
    signal.signal(signal.SIGTERM, _leave)
    command, *rest = sys.argv[1:] if arguments is None else arguments or [""]
    try:
        match command:
            case "train":
                return _train(rest)
            case "serve":
                return _serve(rest)
        raise SettingsError(f"The command is {command[:40]!r}; expected train or serve.")
    except (ChestXrayError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def leave_root(folders: Sequence[Path] = ()) -> None:
    """Become the image's user for good, who may write in `folders`; they are made where they are not there.

    Links in them are not followed. Any other user than root stays who it is.

    Raises:
        SettingsError: root may not do this here.
    """
    if os.geteuid() != 0:
        return
    try:
        for folder in folders:
            _hand_over(folder)
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)
    except PermissionError as error:
        raise SettingsError(
            f"Root may not become user {USER} here ({error}): leave the container CHOWN, SETGID and SETUID, or run it "
            f"with --user {USER} and folders below {OPT_ML} that this user may write."
        ) from error


def _hand_over(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, USER, USER, follow_symlinks=False)
    for inside, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(inside, name), USER, USER, follow_symlinks=False)


def _train(arguments: Sequence[str]) -> int:
    if arguments:
        raise SettingsError(f"`train` takes no arguments, found {arguments[0][:40]!r}: all it needs is below {OPT_ML}.")
    if find_spec("torch") is None:
        raise SettingsError(
            "This image serves and has no torch: train with the image of docker/Dockerfile's target train."
        )
    leave_root([OPT_ML / name for name in _WRITTEN])
    from chest_xray.training.container import run_container

    return run_container(OPT_ML)


def _serve(arguments: Sequence[str]) -> int:
    leave_root()
    from chest_xray.inference.container.__main__ import main as serve

    return serve(["serve", *arguments])


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(_ENDED_BY_SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
