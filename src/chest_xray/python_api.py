"""What `import chest_xray` offers beyond the types of the rooms: a predictor of a bundle, a picture of a file."""

from __future__ import annotations

from pathlib import Path

from chest_xray.images.decode import decode_film
from chest_xray.images.film import Film
from chest_xray.inference.predictor import OnnxPredictor


def load(bundle: str | Path) -> OnnxPredictor:
    """Verify the bundle in a folder and make it ready to answer: `load(bundle).predict(data)`.

    Raises:
        BundleError: the bundle is incomplete or altered, or its golden film does not give the manifest's logits.
    """
    return OnnxPredictor.load(Path(bundle))


def decode(data: bytes) -> Film:
    """Decode a PNG, JPEG or DICOM file's bytes: `film.grey` is (H, W), upright, with bright bone, uint8 or uint16.

    Raises:
        ImageError: not an image that can be read, too large, or by its own tags no frontal radiograph of the chest.
    """
    return decode_film(data)
