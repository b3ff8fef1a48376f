"""POST /v1/films: the pixels of a film for a viewer, which shows them first as the network's decoder does."""

import asyncio
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.support.asgi import Client
from tests.support.bundles import film, png
from tests.support.dicom_files import dicom, lut, ramp, small_files
from tests.support.fuzzing import films, mutants
from tests.support.stubs import FILMS, ListAudit, RawRequest, multipart

from chest_xray.images.decode import decode_film
from chest_xray.images.limits import Limits
from chest_xray.inference.api.app import create_app
from chest_xray.inference.http.admission import AdmissionLimits
from chest_xray.inference.predictor import OnnxPredictor

DICOM = {"content-type": "application/dicom"}
WINDOW = {"WindowCenter": "2000", "WindowWidth": "1500"}


@pytest.fixture(scope="module")
def client(tiny_predictor: OnnxPredictor) -> Client:
    return Client(create_app(tiny_predictor))


def pixels_of(response: httpx.Response) -> tuple[NDArray[Any], dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/octet-stream"
    facts = json.loads(response.headers["x-film"])
    values = np.frombuffer(response.content, {8: "u1", 16: "<u2"}[facts["bits"]])
    return values.reshape(facts["height"], facts["width"]), facts


def view(client: Client, data: bytes, kind: dict[str, str] = DICOM) -> tuple[NDArray[Any], dict[str, Any]]:
    return pixels_of(client.post(FILMS, content=data, headers=kind))


def shown(pixels: NDArray[Any], facts: dict[str, Any]) -> NDArray[np.int64]:
    """What a viewer draws, as the contract of the page has it."""
    low, high = facts["window"]["low"], facts["window"]["high"]
    level = np.clip((pixels.astype(np.float64) - low) / (high - low), 0, 1)
    return np.rint(255 * (1 - level if facts["inverted"] else level)).astype(np.int64)


def assert_shown_as_decoded(client: Client, data: bytes) -> dict[str, Any]:
    pixels, facts = view(client, data)
    expected = decode_film(data).grey.astype(np.int64)
    assert np.abs(shown(pixels, facts) - expected).max() <= 1
    return facts


@pytest.mark.parametrize("number", range(len(small_files())))
def test_every_kind_of_dicom_is_shown_first_as_the_decoder_shows_it(client: Client, number: int) -> None:
    assert_shown_as_decoded(client, small_files()[number])


def test_mutated_dicoms_that_are_read_are_shown_first_as_the_decoder_shows_them(client: Client) -> None:
    read = 0
    for data in mutants("dicom", 600, seed=5):
        answer = client.post(FILMS, content=data, headers=DICOM)
        if answer.status_code == 200:
            read += 1
            assert np.abs(shown(*pixels_of(answer)) - decode_film(data).grey).max() <= 1
    assert read > 100


PADDED = ramp(12)
PADDED[:4] = 0
CASES: dict[str, dict[str, Any]] = {
    "window": {"pixels": ramp(12), **WINDOW},
    "window, inverted": {"pixels": ramp(12), "PhotometricInterpretation": "MONOCHROME1", **WINDOW},
    "inverted by its LUT shape": {"pixels": ramp(12), "PresentationLUTShape": "INVERSE"},
    "exact window": {"pixels": ramp(12), "VOILUTFunction": "LINEAR_EXACT", **WINDOW},
    "step": {"pixels": ramp(12), "WindowCenter": "2000", "WindowWidth": "1"},
    "step above all values": {"pixels": ramp(12), "WindowCenter": "9000", "WindowWidth": "1"},
    "step below all values": {"pixels": ramp(12), "WindowCenter": "-9000", "WindowWidth": "1"},
    "16 bits": {"pixels": ramp(16), "bits": 16},
    "16 bits, signed": {"pixels": ramp(16, signed=True), "bits": 16, "WindowCenter": "0", "WindowWidth": "20000"},
    "8 bits": {"pixels": ramp(8), "WindowCenter": "100", "WindowWidth": "50"},
    "one value": {"pixels": np.full((8, 8), 700, np.uint16)},
    "one value, inverted": {"pixels": np.full((8, 8), 700, np.uint16), "PhotometricInterpretation": "MONOCHROME1"},
    "fractional rescale": {"pixels": ramp(12), "RescaleSlope": "0.37", "RescaleIntercept": "-11.5"},
    "negative rescale": {"pixels": ramp(12), "RescaleSlope": "-2", "RescaleIntercept": "100"},
    "rescale and window": {"pixels": ramp(12), "RescaleSlope": "0.5", "WindowCenter": "1000", "WindowWidth": "300"},
    "tiny rescale": {"pixels": ramp(12), "RescaleSlope": "0.000001", "RescaleIntercept": "100000"},
    "modality LUT": {"pixels": ramp(12), "ModalityLUTSequence": lut(np.arange(4096)[::-1] * 9, 0, 16)},
    "modality LUT and window": {
        "pixels": ramp(12),
        "ModalityLUTSequence": lut(np.arange(4096) * 16, 0, 16),
        "WindowCenter": "30000",
        "WindowWidth": "20000",
    },
    "VOI LUT": {"pixels": ramp(12), "VOILUTSequence": lut((np.arange(4096) / 64) ** 2, 0, 12)},
    "sigmoid": {"pixels": ramp(12), "VOILUTFunction": "SIGMOID", **WINDOW},
    "sigmoid, inverted": {
        "pixels": ramp(12),
        "VOILUTFunction": "SIGMOID",
        "PhotometricInterpretation": "MONOCHROME1",
        **WINDOW,
    },
    "padding": {"pixels": PADDED, "PixelPaddingValue": 0},
    "padding, inverted": {"pixels": PADDED, "PixelPaddingValue": 0, "PhotometricInterpretation": "MONOCHROME1"},
    "padding under a window below all values": {"pixels": PADDED, "PixelPaddingValue": 0, **WINDOW}
    | {"WindowCenter": "0", "WindowWidth": "20001"},
    "padding in a film of 16 bits": {
        "pixels": np.where(ramp(16) < 3000, 0, ramp(16)).astype(np.uint16),
        "bits": 16,
        "PixelPaddingValue": 0,
        "WindowCenter": "0",
        "WindowWidth": "90001",
    },
    "only padding": {"pixels": np.zeros((8, 8), np.uint16), "PixelPaddingValue": 0},
    "only padding, inverted": {
        "pixels": np.zeros((8, 8), np.uint16),
        "PixelPaddingValue": 0,
        "PhotometricInterpretation": "MONOCHROME1",
    },
    "colours": {"pixels": np.stack([ramp(8)] * 3, -1)},
}


@pytest.mark.parametrize("name", CASES)
def test_the_window_shows_a_dicom_as_the_decoder_does(client: Client, name: str) -> None:
    assert_shown_as_decoded(client, dicom(**CASES[name]))


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("padding")])
def test_padding_is_black(client: Client, name: str) -> None:
    data = dicom(**CASES[name])
    pixels, facts = view(client, data)
    padding = CASES[name]["pixels"] == 0
    assert padding.any()
    assert (shown(pixels, facts)[padding] == 0).all()


def test_a_dicom_of_12_bits_comes_at_12_bits(client: Client) -> None:
    pixels, facts = view(client, dicom(ramp(12), **WINDOW))
    np.testing.assert_array_equal(pixels, ramp(12))
    assert facts == {
        "width": 40,
        "height": 24,
        "bits": 16,
        "low": 0.0,
        "slope": 1.0,
        "window": {"low": 2000 - 0.5 - 1499 / 2, "high": 2000 - 0.5 + 1499 / 2},
        "inverted": False,
        "voi": "linear",
        "media_type": "application/dicom",
        "view": "PA",
        "age": 45,
        "sex": "F",
    }


def test_pixels_stand_for_the_values_after_the_rescale(client: Client) -> None:
    signed = ramp(12, signed=True)
    for slope, intercept in ((2.0, -3.0), (-0.37, 11.5)):
        pixels, facts = view(client, dicom(signed, RescaleSlope=str(slope), RescaleIntercept=str(intercept)))
        values = facts["low"] + facts["slope"] * pixels.astype(np.float64)
        np.testing.assert_allclose(values, slope * signed + intercept, rtol=0, atol=1e-9)


def test_inversion_is_left_to_the_display(client: Client) -> None:
    data = dicom(ramp(12), PhotometricInterpretation="MONOCHROME1")
    pixels, facts = view(client, data)
    np.testing.assert_array_equal(pixels, ramp(12))
    assert facts["inverted"] is True


def test_a_voi_that_no_window_can_undo_is_in_the_pixels_and_said_to_be(client: Client) -> None:
    for name in ("VOI LUT", "sigmoid"):
        assert view(client, dicom(**CASES[name]))[1]["voi"] == "baked"
    assert view(client, dicom(**CASES["window"]))[1]["voi"] == "linear"
    entries = ((np.arange(4096) / 64) ** 2).astype(np.uint16)
    pixels, _ = view(client, dicom(**CASES["VOI LUT"]))
    np.testing.assert_array_equal(pixels, np.minimum(entries, 4095)[ramp(12)])


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_pictures_come_as_they_are_decoded(client: Client, kind: str) -> None:
    for data in films(kind):
        pixels, facts = view(client, data, {"content-type": f"image/{kind}"})
        np.testing.assert_array_equal(pixels, decode_film(data).grey)
        full = 2 ** int(pixels.max()).bit_length() - 1 if facts["bits"] == 16 else 255
        assert (facts["window"], facts["low"], facts["slope"]) == ({"low": 0, "high": full}, 0, 1)
        assert (facts["inverted"], facts["media_type"]) == (False, f"image/{kind}")


def test_a_png_of_16_bits_keeps_them(client: Client) -> None:
    deep = ramp(16)
    pixels, facts = view(client, png(deep), {"content-type": "image/png"})
    np.testing.assert_array_equal(pixels, deep)
    assert facts["bits"] == 16


def test_a_turned_photograph_comes_upright(client: Client) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.fromarray(film()[:40]).save(stream, "JPEG", exif=exif)
    pixels, _ = view(client, stream.getvalue(), {"content-type": "image/jpeg"})
    assert pixels.shape == (64, 40)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "image_unreadable"),
        (b"DOE", "image_unreadable"),
        (dicom(Modality="CT"), "image_unsuitable"),
    ],
)
def test_what_cannot_be_read_is_a_problem(client: Client, body: bytes, code: str) -> None:
    response = client.post(FILMS, content=body, headers=DICOM)
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert "x-film" not in response.headers


def test_several_films_a_query_and_too_large_a_body_are_refused(tiny_predictor: OnnxPredictor) -> None:
    client = Client(create_app(tiny_predictor, limits=Limits(max_bytes=1000)))
    body, kind = multipart([b"x"])
    for answer, status, code in (
        (client.post(FILMS, content=body, headers=kind), 415, "content_type_unsupported"),
        (client.post(FILMS + "?patient=DOE", content=b"x", headers=DICOM), 422, "parameter_unknown"),
        (client.post(FILMS, content=b"x" * 1001, headers=DICOM), 413, "body_too_large"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert "DOE" not in answer.text


def test_a_film_that_was_looked_at_is_in_the_audit_log(tiny_predictor: OnnxPredictor) -> None:
    audit = ListAudit()
    client = Client(create_app(tiny_predictor, audit=audit))
    data = dicom()
    seen = client.post(FILMS, content=data, headers=DICOM)
    client.post(FILMS, content=b"nothing", headers=DICOM)
    looked, refused = audit.entries
    assert (looked.outcome, looked.image, looked.media_type) == ("viewed", f"{len(data)} bytes", "application/dicom")
    assert (looked.request_id, looked.caller) == (seen.headers["x-request-id"], "local")
    assert (looked.in_distribution, looked.flagged, looked.event_id) == (None, (), None)
    assert (refused.outcome, refused.code) == ("refused", "image_unreadable")
    counts = client.get("/metrics").text
    assert 'cxr_images_total{code="",outcome="viewed"} 1.0' in counts
    assert 'cxr_images_total{code="image_unreadable",outcome="refused"} 1.0' in counts


def test_a_large_film_from_a_small_file_counts_until_it_is_sent(tiny_predictor: OnnxPredictor) -> None:
    """A reader that takes nothing holds the bytes of its film, and the next one is turned away instead of stored."""
    app = create_app(tiny_predictor, admission=AdmissionLimits(body_bytes=1_500_000))
    data = png(np.zeros((1000, 1000), np.uint8))

    async def ask() -> tuple[int, int, int]:
        started, go_on = asyncio.Event(), asyncio.Event()
        first, second = (RawRequest(app, {"content-length": str(len(data))}, FILMS) for _ in range(2))

        async def stalled(message: Any) -> None:
            started.set()
            await go_on.wait()

        for request in (first, second):
            request.give(data, more=False)
        stuck = first.start(stalled)
        await started.wait()
        held = app.state.admission.held_bytes
        await second.start()
        go_on.set()
        await stuck
        return held, second.status, app.state.admission.held_bytes

    assert asyncio.run(ask()) == (1_000_000, 503, 0)
