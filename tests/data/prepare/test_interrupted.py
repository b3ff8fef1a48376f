"""prepare-data after a kill, a full disk or beside another run: nothing half-written, the same bytes in the end."""

import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.nih_folders import film, row, write_csv, write_nih_folder
from tests.support.preparing import FIVE_ROWS, SHARD, SIZE, contents, prepare, refusal

from chest_xray import lock
from chest_xray.data.prepare.prepare import prepare_data
from chest_xray.data.shards import Shards
from chest_xray.errors import DataError
from chest_xray.lock import only_one


@pytest.fixture(scope="module")
def long_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """800 names for 24 larger films: a few seconds of work."""
    folder = tmp_path_factory.mktemp("long") / "source"
    names = [f"{number:08d}_000.png" for number in range(800)]
    write_csv(folder, [row(name, patient=int(name[:8])) for name in names])
    films = tmp_path_factory.mktemp("films")
    write_nih_folder(films / "nih")
    (folder / "images").mkdir()
    from PIL import Image

    for number, name in enumerate(names):
        path = folder / "images" / name
        if number < 24:
            Image.fromarray(film(number, 400, 400)).save(path)
        else:
            path.hardlink_to(folder / "images" / names[number % 24])
    return folder


@pytest.fixture(scope="module")
def long_prepared(long_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("long-prepared") / "dataset"
    prepare_data(long_source, output, image_size=64, workers=1, shard_bytes=SHARD)
    return output


def run_script(source: Path, output: Path, before: str = "") -> list[str]:
    script = (
        f"{before}\nfrom pathlib import Path\nfrom chest_xray.errors import ChestXrayError\n"
        "from chest_xray.data.prepare.prepare import prepare_data\n"
        f"paths = Path({str(source)!r}), Path({str(output)!r})\n"
        f"try:\n    prepare_data(*paths, image_size=64, workers=2, shard_bytes={SHARD})\n"
        "except ChestXrayError as error:\n    raise SystemExit(f'REFUSED {error}')\n"
    )
    return [sys.executable, "-c", script]


def children_of(process: subprocess.Popen[bytes]) -> list[Path]:
    listing = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [Path(f"/proc/{child}") for child in listing.read_text().split()] if listing.is_file() else []


def is_running(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    long_source: Path, long_prepared: Path, tmp_path: Path, how: signal.Signals
) -> None:
    output = tmp_path / "out"
    with subprocess.Popen(run_script(long_source, output), stderr=subprocess.PIPE) as process:
        wait_until(lambda: len(list(output.glob("shard-*.npy"))) >= 3)
        workers = children_of(process)
        process.send_signal(how)
        process.wait(timeout=20)
    assert process.returncode == -how
    wait_until(lambda: not any(map(is_running, workers)))
    finished = {path.name: path.stat().st_ino for path in output.glob("shard-*.npy")}
    assert 3 <= len(finished) < 40
    assert "run prepare-data on it until it says that it has finished" in refusal(lambda: Shards.open(output))

    subprocess.run(run_script(long_source, output), check=True, capture_output=True)
    assert contents(output) == contents(long_prepared)
    kept = sum((output / name).stat().st_ino == inode for name, inode in finished.items())
    assert kept >= len(finished) - 2  # a shard without its record yet is made again


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    long_source: Path, long_prepared: Path, tmp_path: Path
) -> None:
    """The system refuses files over 60 kB, as a full disk would; the rest of the run meets a disk with room."""
    output = tmp_path / "out"
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))"
    refused = subprocess.run(run_script(long_source, output, limit), check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == (
        f"REFUSED The disk of {output} is full: make room and run the same command again; finished shards are kept."
    )
    assert sorted(path.name for path in output.iterdir()) == [".progress", "prepare.json", "prepare.lock"]
    assert list((output / ".progress").iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    prepare_data(long_source, output, image_size=64, workers=2, shard_bytes=SHARD)
    assert contents(output) == contents(long_prepared)


@pytest.mark.parametrize("how", ["kill", "full disk"])
def test_a_run_that_ends_at_its_first_write_is_run_again(
    source: Path, prepared: Path, tmp_path: Path, how: str
) -> None:
    output = tmp_path / "out"
    script = f"""
import os, resource, signal, sys
from pathlib import Path
import numpy, pyarrow
from chest_xray.errors import DataError
from chest_xray.data.prepare.prepare import prepare_data
if {how!r} == "kill":
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
else:
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
try:
    prepare_data(Path({str(source)!r}), Path({str(output)!r}), image_size={SIZE}, shard_bytes={FIVE_ROWS}, workers=1)
except DataError as error:
    os.write(1, b"REFUSED " + str(error).encode())
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False, stdout=subprocess.PIPE)
    if how == "kill":
        assert ended.returncode == -signal.SIGKILL
        left = [".progress", "prepare.json.part", "prepare.lock"]
    else:
        assert ended.stdout.decode().startswith(f"REFUSED The disk of {output} is full: make room")
        left = [".progress", "prepare.lock"]
    assert sorted(path.name for path in output.iterdir()) == left
    prepare(source, output)
    assert contents(output) == contents(prepared)
    assert not (output / ".progress").exists()


def test_one_prepare_data_at_a_time(
    source: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.05)
    output = tmp_path / "out"
    with only_one(output / "prepare.lock", DataError("busy")):
        assert refusal(lambda: prepare(source, output)) == (
            f"Another prepare-data writes to {output}: run this again when it is done."
        )
        assert [path.name for path in output.iterdir()] == ["prepare.lock"]
        # A finished folder is answered without the lock.
        shutil.copytree(prepared, output, dirs_exist_ok=True)
        assert prepare(source, output).images_per_second == 0
