"""The usual service, to compare with: Pillow, PyTorch eager in fp32, MONAI's Grad-CAM by gradients, FastAPI.

    python -m benchmarks.serving.usual WEIGHTS PORT

Written as tutorials write it: one model, one image a request, the explanation on request. It validates nothing and
bounds nothing, which costs it nothing here.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Request
from monai.networks.nets.densenet import DenseNet121
from monai.visualize.class_activation_maps import GradCAM
from PIL import Image
from torch import Tensor

from chest_xray.findings import FINDINGS


class UsualService:
    """DenseNet121 and its Grad-CAM at `size` pixels."""

    def __init__(self, weights: Path, size: int) -> None:
        self._size = size
        self._model = _network()
        self._model.load_state_dict(torch.load(weights, weights_only=True))
        self._model.eval()
        self._grad_cam = GradCAM(nn_module=self._model, target_layers="class_layers.relu")

    def predict(self, image: bytes) -> dict[str, float]:
        """Bytes of an image file -> probabilities by finding."""
        with torch.no_grad():
            logits = self._model(self._tensor(image))
        return _named(logits)

    def explain(self, image: bytes) -> tuple[dict[str, float], list[list[float]]]:
        """The same, and the heat map of the most probable finding."""
        tensor = self._tensor(image)
        with torch.no_grad():
            logits = self._model(tensor)
        cam = self._grad_cam(x=tensor, class_idx=int(logits[0].argmax()))
        return _named(logits), np.asarray(cam)[0, 0].tolist()

    def _tensor(self, image: bytes) -> Tensor:
        film = Image.open(io.BytesIO(image)).convert("L").resize((self._size, self._size))
        pixels = torch.from_numpy(np.asarray(film, dtype=np.float32) / 255.0)
        return ((pixels - 0.5) / 0.25)[None, None]


def write_weights(path: Path) -> None:
    """A checkpoint as training scripts leave it."""
    torch.save(_network().state_dict(), path)


def _network() -> DenseNet121:
    return DenseNet121(spatial_dims=2, in_channels=1, out_channels=len(FINDINGS))


def _named(logits: Tensor) -> dict[str, float]:
    return dict(zip(FINDINGS, torch.sigmoid(logits)[0].tolist(), strict=True))


def create_app(service: UsualService) -> FastAPI:
    """One route that scores the body."""
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, float]:
        return service.predict(await request.body())

    return app


if __name__ == "__main__":
    usual = UsualService(Path(sys.argv[1]), size=224)
    uvicorn.run(create_app(usual), host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
