"""The processes that decode compressed pixels: bounded, replaced, gone with their parent."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.dicom_files import (
    JPEG2000Lossless,
    dicom,
    ramp,
    small_files,
)
from tests.support.dicom_reading import refusal, stored
from tests.support.processes import run_python

from chest_xray.images.decode import decode_image
from chest_xray.images.dicom import codecs
from chest_xray.images.dicom.codec_worker import MEMORY_BYTES


def worker() -> codecs.Worker:
    """The idle worker that the next decode of this process takes."""
    decode_image(small_files()[-2])
    return codecs._pool()._idle[-1]


def test_a_killed_worker_is_replaced() -> None:
    expected, process = decode_image(small_files()[-2]), worker().process
    process.kill()
    process.wait()
    np.testing.assert_array_equal(decode_image(small_files()[-2]), expected)
    assert worker().process.pid != process.pid


def test_a_worker_that_dies_over_an_image_costs_that_image_only() -> None:
    process = worker().process
    os.kill(process.pid, signal.SIGSTOP)
    threading.Timer(0.2, process.kill).start()
    assert "cannot be decoded within 1.0 s" in refusal(small_files()[-2])
    assert decode_image(small_files()[-2]).shape == (24, 40)


def test_a_worker_that_hangs_is_killed_in_time() -> None:
    process = worker().process
    os.kill(process.pid, signal.SIGSTOP)
    started = time.monotonic()
    assert "cannot be decoded within 1.0 s" in refusal(small_files()[-2])
    assert time.monotonic() - started < 2
    assert process.poll() is not None
    assert decode_image(small_files()[-2]).shape == (24, 40)


def test_a_worker_has_bounded_memory() -> None:
    limits = Path(f"/proc/{worker().process.pid}/limits")
    if not limits.exists():
        pytest.skip("There is no /proc here")
    (line,) = [line for line in limits.read_text().splitlines() if line.startswith("Max address space")]
    assert line.split()[3] == str(MEMORY_BYTES)


def test_a_damaged_stream_is_refused_and_the_worker_lives_on() -> None:
    whole = small_files()[-2]
    process = worker().process
    assert "compressed pixel data cannot be decoded" in refusal(whole[:-120] + bytes(120 - 8) + whole[-8:])
    assert worker().process.pid == process.pid


def test_threads_share_the_workers_and_decode_alike() -> None:
    files = [dicom(np.roll(ramp(12), shift), syntax=JPEG2000Lossless) for shift in range(6)]
    found: dict[int, NDArray[Any]] = {}

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = stored(files[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(6):
        np.testing.assert_array_equal(found[number], np.roll(ramp(12), number))


ENDING = """
import os, signal, sys
from chest_xray.images.dicom import codecs
from chest_xray.images.decode import decode_image
decode_image(open(sys.argv[1], "rb").read())
print(codecs._pool()._idle[-1].process.pid, flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["returned", "killed"])
def test_workers_end_with_their_parent(how: str, tmp_path: Path) -> None:
    file = tmp_path / "film.dcm"
    file.write_bytes(small_files()[-2])
    done = run_python(ENDING, str(file), how)
    assert done.stderr == ""
    pid = int(done.stdout)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}/stat").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.02)
    assert time.monotonic() < deadline


def test_no_dicom_library_is_imported_by_the_process_that_decodes(tmp_path: Path) -> None:
    file = tmp_path / "film.dcm"
    file.write_bytes(small_files()[-2])
    program = (
        "import sys; from chest_xray.images.decode import decode_image; decode_image(open(sys.argv[1], 'rb').read());"
        "print([name for name in sys.modules if name.partition('.')[0] in ('gdcm', '_gdcm', 'pydicom', 'openjpeg')])"
    )
    assert run_python(program, str(file)).stdout.strip() == "[]"


def test_without_gdcm_a_compressed_file_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "_POOLS", {})
    monkeypatch.setitem(sys.modules, "gdcm", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'chest-xray-classifier[dicom]'" in refusal(small_files()[-2])
    assert decode_image(small_files()[0]).shape == (24, 40)
