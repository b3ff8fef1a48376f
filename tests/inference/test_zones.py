"""Where a heat map lies, in words."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from tests.support.asgi import Client
from tests.support.bundles import film, png
from tests.support.stubs import PNG, PREDICTIONS, StubPredictor

from chest_xray.findings import FINDINGS
from chest_xray.inference.api.app import create_app
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.inference.zones import Zone, describe, locations, zones_of
from chest_xray.prediction import QualityWarning

MAPS = st.integers(1, 16).flatmap(
    lambda side: arrays.arrays(np.float32, (side, side), elements=st.floats(-4, 8, width=32))
)
SIDES = {"right": "left", "left": "right"}
HEIGHTS = {"upper": "lower", "lower": "upper", "mid": "mid"}


def map_with(*cells: tuple[int, int], size: int = 15, value: float = 2.0) -> NDArray[np.float32]:
    """A map without evidence but in these cells (row, column)."""
    cam = np.full((size, size), -1.0, np.float32)
    for cell in cells:
        cam[cell] = value
    return cam


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([(12, 2)], "right lower zone"),
        ([(2, 12)], "left upper zone"),
        ([(7, 1), (12, 1)], "right mid and lower zones"),
        ([(12, 2), (13, 12)], "both lower zones"),
        ([(1, 2), (7, 2), (2, 12), (8, 12)], "both upper and mid zones"),
        ([(1, 12), (7, 12)], "left upper and mid zones"),
        ([(12, 2), (7, 13)], "right lower zone, left mid zone"),
        ([(1, 1), (6, 1), (11, 1)], "right lung"),
        ([(1, 1), (6, 1), (11, 1), (1, 13), (6, 13), (11, 13)], "both lungs"),
        ([(10, 7)], "central"),
        ([(10, 7), (10, 13)], "left lower zone, central"),
        ([], None),
    ],
)
def test_a_map_is_described_by_the_zones_of_its_evidence(cells: list[tuple[int, int]], words: str | None) -> None:
    assert describe(map_with(*cells)) == words


def test_a_zone_counts_from_half_of_the_strongest_on() -> None:
    cam = map_with((12, 2), value=4.0)
    cam[2, 12] = 2.0
    assert describe(cam) == "right lower zone, left upper zone"
    cam[2, 12] = 1.99
    assert describe(cam) == "right lower zone"


def test_a_map_too_faint_to_be_seen_is_nowhere() -> None:
    assert describe(map_with((12, 2), value=0.11)) == "right lower zone"
    assert describe(map_with((12, 2), value=0.09)) is None
    assert describe(np.zeros((0, 0), np.float32)) is None


def test_a_cell_on_a_border_is_shared_by_area() -> None:
    # Of 7 columns the third lies from 2/7 to 3/7: four fifths of it are right of the central band's edge at 2/5.
    cam = np.zeros((7, 7), np.float32)
    cam[6, 2] = 1.0
    assert zones_of(cam) == {("right", "lower")}
    # The fourth, from 3/7 to 4/7, is central; of one column two fifths are at each side and one is central.
    assert describe(np.array([[-1.0], [-1.0], [2.0]], np.float32)) == "both lower zones, central"


@given(MAPS)
def test_a_mirrored_map_swaps_right_and_left(cam: NDArray[np.float32]) -> None:
    def mirrored(zone: Zone) -> object:
        return zone if isinstance(zone, str) else (SIDES[zone[0]], zone[1])

    assert zones_of(cam[:, ::-1]) == {mirrored(zone) for zone in zones_of(cam)}


@given(MAPS)
def test_a_map_upside_down_swaps_upper_and_lower(cam: NDArray[np.float32]) -> None:
    def turned(zone: Zone) -> object:
        return zone if isinstance(zone, str) else (zone[0], HEIGHTS[zone[1]])

    assert zones_of(cam[::-1]) == {turned(zone) for zone in zones_of(cam)}


@given(MAPS)
def test_words_are_said_exactly_where_there_is_visible_evidence(cam: NDArray[np.float32]) -> None:
    assert (describe(cam) is None) == (cam.max() < np.float32(0.1))


def test_the_answer_says_where_each_explained_finding_lies(tiny_predictor: OnnxPredictor) -> None:
    image = png(film(5))
    prediction = tiny_predictor.predict(image, explain=("Mass", "Hernia"))
    client = Client(create_app(tiny_predictor))
    answer = client.post(PREDICTIONS + "?explain=Mass,Hernia", content=image, headers=PNG).json()
    assert answer["locations"] == {name: describe(cam) for name, cam in prediction.heat_maps.items()}
    assert client.post(PREDICTIONS, content=image, headers=PNG).json()["locations"] == {}


def test_nothing_is_said_of_a_film_that_lies_on_its_side(tiny_predictor: OnnxPredictor) -> None:
    turned = StubPredictor(tiny_predictor, quality=(QualityWarning("rotated", "It seems turned."),))
    answer = Client(create_app(turned)).post(PREDICTIONS + "?explain=all", content=png(film()), headers=PNG).json()
    assert answer["locations"] == dict.fromkeys(FINDINGS)
    prediction = tiny_predictor.predict(png(film()), explain=FINDINGS)
    assert set(locations(replace(prediction, quality=())).values()) != {None}
