"""The images' entry, as far as it can be seen without an image."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.processes import run_python, start_python

from chest_xray.container import USER, main

ROOT = "def before(): pass\n"
NOBODY = "def before(): os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
LEAVES = """
import os, sys
from pathlib import Path
from chest_xray.container import leave_root
before()
leave_root([Path(name) for name in sys.argv[1:]])
print(*os.getresuid(), *os.getresgid(), os.getgroups())
Path(sys.argv[1], "new").write_text("written")
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may look into; pytest's own are for one."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("command", ["", "trian", "--help"])
def test_any_other_command_is_one_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert main([command]) == 2
    signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == f"error: The command is {command!r}; expected train, serve or prepare-data.\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_becomes_the_images_user_who_may_write_and_no_link_is_followed(open_folder: Path) -> None:
    mine, output = open_folder / "mine", open_folder / "output"
    mine.write_text("root's")
    (output / "data").mkdir(parents=True, mode=0o755)
    (output / "data" / "link").symlink_to(mine)
    (output / "restored").write_text("checkpoint")
    done = run_python(ROOT + LEAVES, output, open_folder / "absent" / "made")
    assert done.stdout.split() == [str(USER)] * 6 + ["[]"], done.stderr
    assert (output / "new").stat().st_uid == USER
    assert {path.name for path in output.rglob("*") if path.lstat().st_uid != USER} == set()
    assert (open_folder / "absent" / "made").stat().st_uid == USER
    assert mine.stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_stays_who_it_is(open_folder: Path) -> None:
    theirs = open_folder / "theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    done = run_python(NOBODY + LEAVES, theirs)
    assert done.stdout.split() == ["65534"] * 6 + ["[]"], done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lose the right to become another user")
def test_root_that_may_not_is_refused(open_folder: Path) -> None:
    done = subprocess.run(
        ["setpriv", "--bounding-set=-setuid", "--inh-caps=-setuid", "python3", "-c", "import os; os.setuid(10001)"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        pytest.skip("setpriv takes no capability away here")
    script = "import sys; from chest_xray.container import main; sys.exit(main(['serve']))"
    process = subprocess.run(
        ["setpriv", "--bounding-set=-setuid", "--inh-caps=-setuid", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert process.stderr.startswith("error: Root may not become user 10001 here")
    assert process.stderr.count("\n") == 1


def test_a_signal_before_anything_was_begun_is_heard() -> None:
    script = (
        "import sys, chest_xray.container as entry\n"
        "entry._train = lambda rest: (print('ready', flush=True), sys.stdin.read())\n"
        "sys.exit(entry.main(['train']))"
    )
    process = start_python(script)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
