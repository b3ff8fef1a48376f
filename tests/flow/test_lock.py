"""The lock file: one process at a time, and the true reason when it cannot be held."""

import errno
import fcntl
import os
import signal
from pathlib import Path

import pytest
from tests.support.processes import start_python

from chest_xray import lock
from chest_xray.errors import DataError, SettingsError
from chest_xray.lock import only_one

BUSY = DataError("Another one is under way.")
HOLD = """
import sys
from pathlib import Path
from chest_xray.errors import DataError
from chest_xray.lock import only_one

with only_one(Path(sys.argv[1]), DataError("busy")):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_that_another_process_holds_until_it_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.05)
    path = tmp_path / "new" / "one.lock"
    with start_python(HOLD, path) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DataError, match="Another one is under way"), only_one(path, BUSY):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait(timeout=20)
        with only_one(path, BUSY):
            pass


def test_a_held_lock_is_one_empty_file(tmp_path: Path) -> None:
    """It needs no room on a full disk, and a kill leaves nothing else."""
    with only_one(tmp_path / "one.lock", BUSY):
        assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("one.lock", 0)]


def test_the_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), only_one(tmp_path / "one.lock", BUSY):
        raise KeyError
    with only_one(tmp_path / "one.lock", BUSY):
        pass


def test_a_lock_file_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    (tmp_path / "one.lock").mkdir()
    with (
        pytest.raises(SettingsError, match=r"one\.lock cannot be written \(.*Is a directory"),
        only_one(tmp_path / "one.lock", BUSY),
    ):
        pass


def test_a_folder_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(SettingsError, match=r"one\.lock cannot be written \(.*file"),
        only_one(tmp_path / "file" / "one.lock", BUSY),
    ):
        pass


def test_a_file_of_something_else_is_not_taken_for_another_process_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    path.write_text("three years of work" * 100)
    with pytest.raises(SettingsError, match="something that is no lock"), only_one(path, BUSY):
        pass
    assert path.read_text() == "three years of work" * 100


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EIO])
def test_a_disk_that_is_full_or_read_only_is_not_taken_for_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """The system's own errors for them, which no test can bring about without a disk of its own."""
    system = os.open

    def refusing(path: str | Path, *args: int, **options: int) -> int:
        if Path(path).name == "one.lock":
            raise OSError(code, "the disk's reason")
        return system(path, *args, **options)

    monkeypatch.setattr(os, "open", refusing)
    with (
        pytest.raises(SettingsError, match=r"one\.lock cannot be written \(\[Errno \d+\] the disk's reason\)"),
        only_one(tmp_path / "one.lock", BUSY),
    ):
        pass


def test_a_disk_without_locks_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that only exists would stay after a kill, and the next process would wait for nobody."""

    def missing(*_: object) -> None:
        raise OSError(errno.ENOSYS, "no locks here")

    monkeypatch.setattr(fcntl, "flock", missing)
    with (
        pytest.raises(SettingsError, match=r"one\.lock cannot be written \(\[Errno \d+\] no locks here\)"),
        only_one(tmp_path / "one.lock", BUSY),
    ):
        pass
