"""The entry of the images in docker/: `IMAGE train`, `serve` and `prepare-data`, as SageMaker runs them.

SageMaker runs containers as root and makes the folders below /opt/ml for root. As root, this gives the image's own user
the folders that it writes and the model that it reads, becomes that user for good, and goes on in the same process, so
that whom the runtime signals is who trains or serves. As any other user it goes on as it is.
"""

from __future__ import annotations

import os
import signal
import stat
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
# What a processing job leaves, and where its parts lie meanwhile.
_PREPARED: Final = ("output", "processing/output", "processing/work")
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
            case "prepare-data":
                return _prepare_data(rest)
        raise SettingsError(f"The command is {command[:40]!r}; expected train, serve or prepare-data.")
    except (ChestXrayError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def leave_root(trees: Sequence[Path] = (), *, top: Path | None = None) -> None:
    """Become the image's user for good, who gets `trees` with all that is in them, and of `top` only the folder itself.

    All are made where they are not there. Links in them are not followed. Any other user than root stays who it is.

    Raises:
        SettingsError: root may not do this here.
    """
    if os.geteuid() != 0:
        return
    try:
        if top is not None:
            top.mkdir(parents=True, exist_ok=True)
            os.chown(top, USER, USER)
        for tree in trees:
            _hand_over(tree)
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)
    except PermissionError as error:
        raise SettingsError(
            f"Root may not become user {USER} here ({error}): leave the container CHOWN, SETGID and SETUID, or run it "
            f"with --user {USER} and folders below {OPT_ML} that this user may write."
        ) from error


def _hand_over(tree: Path) -> None:
    tree.mkdir(parents=True, exist_ok=True)
    os.chown(tree, USER, USER, follow_symlinks=False)
    for inside, folders, files in os.walk(tree):
        for name in (*folders, *files):
            os.chown(Path(inside, name), USER, USER, follow_symlinks=False)


def _hides(tree: Path) -> bool:
    """Whether something in it is not for every user to read, and may be changed so."""
    paths = (tree, *tree.rglob("*")) if os.access(tree, os.W_OK) else ()
    return any(not path.lstat().st_mode & stat.S_IROTH for path in paths)


def _train(arguments: Sequence[str]) -> int:
    if arguments:
        raise SettingsError(f"`train` takes no arguments, found {arguments[0][:40]!r}: all it needs is below {OPT_ML}.")
    if find_spec("torch") is None:
        raise SettingsError(
            "This image serves and has no torch: train with the image of docker/Dockerfile's target train."
        )
    # The lock of a run lies in the folder itself.
    leave_root([OPT_ML / name for name in _WRITTEN], top=OPT_ML)
    from chest_xray.training.container import run_container

    return run_container(OPT_ML)


def _prepare_data(arguments: Sequence[str]) -> int:
    if find_spec("pyarrow") is None:
        raise SettingsError("This image serves: prepare data with the image of docker/Dockerfile's target train.")
    leave_root([OPT_ML / name for name in _PREPARED])
    from chest_xray.data.prepare.container import main as prepare

    return prepare(arguments, OPT_ML)


def _serve(arguments: Sequence[str]) -> int:
    # An archive keeps the modes of its files, and safetensors writes them for their owner alone.
    model = OPT_ML / "model"
    leave_root([model] if _hides(model) else [])
    from chest_xray.inference.container.__main__ import main as serve

    return serve(["serve", *arguments])


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(_ENDED_BY_SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
