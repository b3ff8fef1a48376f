"""DenseNet121 with its normalisation inside and exact class activation maps, and where its weights start.

DenseNet ends in ReLU, global average pool and a linear layer. For such a network Grad-CAM equals CAM (Selvaraju et al.,
ICCV 2017, section 3.1), so one einsum of the last features with the classifier's weights gives the maps of all
findings, exactly and with no backward pass.
"""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.error import URLError

import torch
from torch import Tensor, nn

from chest_xray.bundle.film_statistics import EMBEDDING_SIZE
from chest_xray.errors import TrainingError
from chest_xray.training.densenet import densenet121_features

if TYPE_CHECKING:
    from chest_xray.settings import Settings

IMAGENET_URL = "https://download.pytorch.org/models/densenet121-a639ec97.pth"


class Explained(NamedTuple):
    """One forward pass: logits (B, F), embedding (B, 1024), cam (B, F, h, w); mean over cam + bias = logit."""

    logits: Tensor
    embedding: Tensor
    cam: Tensor


class ChestXrayNet(nn.Module):
    """Grey images (B, 1, S, S), uint8 or float on the scale 0..255, to logits (B, F) of `findings` findings."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: float, std: float, findings: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))
        self.features = densenet121_features()
        self.classifier = nn.Linear(EMBEDDING_SIZE, findings)
        nn.init.zeros_(self.classifier.bias)

    def normalise(self, image: Tensor) -> Tensor:
        """Pixels 0..255 to zero mean and unit variance of the training images."""
        normalised: Tensor = (image.float() / 255.0 - self.mean) / self.std
        return normalised

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, F)."""
        features = torch.relu(self.features(self.normalise(image)))
        logits: Tensor = self.classifier(features.mean(dim=(2, 3)))
        return logits

    def explain(self, image: Tensor) -> Explained:
        """Logits, embedding and the exact class activation maps."""
        features = torch.relu(self.features(self.normalise(image)))
        embedding = features.mean(dim=(2, 3))
        cam = torch.einsum("kc,bchw->bkhw", self.classifier.weight, features)
        return Explained(self.classifier(embedding), embedding, cam)


def build_model(init: str, *, mean: float, std: float, findings: int, seed: int, settings: Settings) -> ChestXrayNet:
    """Build the network with as many logits as findings, and its first weights; torch's global random state stays.

    Raises:
        TrainingError: `init` names weights that are missing or do not fit the network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ChestXrayNet(mean, std, findings)
    if init == "imagenet":
        load_torchvision(model, _imagenet_state(settings))
    elif init != "none":
        load_weights(model, Path(init))
    return model


def load_weights(model: ChestXrayNet, path: Path) -> None:
    """Load a bundle's weights.safetensors (all of it), or a torchvision DenseNet121 file (its backbone).

    Raises:
        TrainingError: the file is missing, damaged or of another network.
    """
    if not path.is_file():
        raise TrainingError(
            f"there are no weights at {path}: expected none, imagenet, or a .safetensors or torchvision .pth file."
        )
    if path.suffix == ".pth":
        load_torchvision(model, _read_torch_file(path))
        return
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
        state["mean"], state["std"] = model.mean, model.std
        model.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(
            f"{path} does not hold this network's weights ({reason}). Give a bundle's weights.safetensors."
        ) from error


def _read_torch_file(path: Path) -> dict[str, Tensor]:
    content = io.BytesIO(path.read_bytes())
    try:
        state: dict[str, Tensor] = torch.load(content, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{path} is not a torch file of weights. Download {IMAGENET_URL} again.") from error
    return state


def _imagenet_state(settings: Settings) -> dict[str, Tensor]:
    path = settings.imagenet_weights
    if path is not None:
        if not path.is_file():
            raise TrainingError(f"CXR_IMAGENET_WEIGHTS is {path}, which is no file. Download {IMAGENET_URL} to it.")
        return _read_torch_file(path)
    try:
        return torch.hub.load_state_dict_from_url(IMAGENET_URL, map_location="cpu", check_hash=True, weights_only=True)
    except (URLError, RuntimeError) as error:
        raise TrainingError(
            f"{IMAGENET_URL} could not be fetched ({error}). Download it elsewhere and name it in CXR_IMAGENET_WEIGHTS."
        ) from error


def load_torchvision(model: ChestXrayNet, state: dict[str, Tensor]) -> None:
    """Give the backbone torchvision's ImageNet weights.

    The first convolution is summed over RGB, which equals feeding the grey image to all three channels. The 1,000-class
    head stays behind.

    Raises:
        TrainingError: the state is not that of a torchvision DenseNet121.
    """
    # The published file writes `norm.1` where torchvision's modules, and ours, say `norm1`.
    renamed = {
        re.sub(r"\.(norm|conv)\.([12])\.", r".\1\2.", name.removeprefix("features.")): value
        for name, value in state.items()
        if not name.startswith("classifier.")
    }
    first = renamed.get("conv0.weight")
    if first is None or first.shape[1] != 3:
        raise TrainingError("these are not torchvision's DenseNet121 weights: no RGB features.conv0.weight.")
    renamed["conv0.weight"] = first.sum(dim=1, keepdim=True)
    try:
        missing, unexpected = model.features.load_state_dict(renamed, strict=False)
    except RuntimeError as error:
        raise TrainingError(
            f"these are not torchvision's DenseNet121 weights: {str(error).splitlines()[-1].strip()}"
        ) from error
    absent = [name for name in missing if not name.endswith("num_batches_tracked")]
    if absent or unexpected:
        raise TrainingError(
            f"these are not torchvision's DenseNet121 weights: {(absent + unexpected)[0]} has no counterpart."
        )
