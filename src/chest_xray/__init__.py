"""From a folder of chest radiographs to a monitored endpoint. Research use only, not a medical device.

    import chest_xray

    predictor = chest_xray.load("runs/first/bundle")
    prediction = predictor.predict(Path("film.dcm").read_bytes())

Names are imported when they are first used: `import chest_xray` alone loads no numpy, no ONNX Runtime and no torch.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chest_xray.data.shards import Shards
    from chest_xray.errors import BundleError, ChestXrayError, DataError, ImageError
    from chest_xray.findings import FINDINGS
    from chest_xray.images.film import Film
    from chest_xray.prediction import Prediction
    from chest_xray.python_api import decode, load

__version__ = "0.1.0"

__all__ = [
    "FINDINGS",
    "BundleError",
    "ChestXrayError",
    "DataError",
    "Film",
    "ImageError",
    "Prediction",
    "Shards",
    "decode",
    "load",
]

_ROOMS: Final = {
    "FINDINGS": "chest_xray.findings",
    "BundleError": "chest_xray.errors",
    "ChestXrayError": "chest_xray.errors",
    "DataError": "chest_xray.errors",
    "Film": "chest_xray.images.film",
    "ImageError": "chest_xray.errors",
    "Prediction": "chest_xray.prediction",
    "Shards": "chest_xray.data.shards",
    "decode": "chest_xray.python_api",
    "load": "chest_xray.python_api",
}

# ONNX Runtime's wheels for Linux report to Microsoft since 1.29: names and hashes of models, a device id that they keep
# in the user's cache. Only this variable, set before its import, stops both; `disable_telemetry_events` comes too late.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def __getattr__(name: str) -> object:
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(room), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
