"""Mutated files never crash, hang or fail the service. `make fuzz` does five times as many, of other seeds."""

import numpy as np
import pytest
from tests.support.fuzzing import EXPECTED, KINDS, ROUTES, films, fuzz, mutant

from chest_xray.images.decode import decode_film

COUNT = 20_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("route", "count"), list(zip(ROUTES, (COUNT, COUNT // 10), strict=True)))
def test_a_mutated_file_is_scored_or_refused(kind: str, route: str, count: int) -> None:
    report = fuzz(kind, count, route=route)
    assert report.failures == []
    assert report.statuses.total() == count
    assert set(report.statuses) <= EXPECTED
    # Mutants that are all refused at the door, or all read, would show nothing.
    assert count // 50 < report.statuses[200] < count


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_that_are_mutated_are_sound(kind: str) -> None:
    for data in films(kind):
        assert np.ptp(decode_film(data).grey) > 50


def test_a_failure_can_be_had_again_by_its_number() -> None:
    sound = films("png")
    assert mutant("png", sound, seed=3, number=11) == mutant("png", sound, seed=3, number=11)
    assert mutant("png", sound, seed=3, number=11) != mutant("png", sound, seed=4, number=11)
