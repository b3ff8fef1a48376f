"""Hostile files are refused in bounded memory and time; see tests.support.hostile for what they are."""

import json

import pytest
from tests.support.bundles import film
from tests.support.hostile import BOMBS, ordinary_dicom
from tests.support.processes import run_python

from chest_xray.images.decode import decode_film

LARGEST_RSS = 512 * 1024 * 1024
LONGEST_CPU_SECONDS = 1.0

REFUSE = """
import json, re, sys, time
from pathlib import Path
from chest_xray.errors import ImageError
from chest_xray.images.decode import decode_film
from tests.support.hostile import BOMBS, ordinary_dicom

decode_film(ordinary_dicom())  # imports are not the bomb's
for name in sys.argv[1:]:
    bomb = BOMBS[name]()
    started = time.process_time()
    try:
        decode_film(bomb)
        message = None
    except ImageError as error:
        message = str(error)
    seconds = time.process_time() - started
    # Not ru_maxrss: that is inherited from the process that started this one.
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
    print(json.dumps({"name": name, "message": message, "seconds": seconds, "peak_kb": peak}))
"""


@pytest.fixture(scope="module")
def refusals() -> dict[str, dict[str, float | str]]:
    done = run_python(REFUSE, *BOMBS)
    assert done.returncode == 0, done.stderr
    return {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_one_line_in_bounded_memory_and_time(
    name: str, refusals: dict[str, dict[str, float | str]]
) -> None:
    refusal = refusals[name]
    assert isinstance(refusal["message"], str), "it was decoded"
    assert "\n" not in refusal["message"]
    assert float(refusal["seconds"]) < LONGEST_CPU_SECONDS
    assert float(refusal["peak_kb"]) * 1024 < LARGEST_RSS


def test_the_builder_of_bombs_can_also_build_a_film_that_is_read() -> None:
    found = decode_film(ordinary_dicom())
    assert (found.media_type, found.grey.shape) == ("application/dicom", film().shape)
