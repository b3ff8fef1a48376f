"""The network: exact maps, torchvision's weights, random state that stays local."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from chest_xray.errors import TrainingError
from chest_xray.settings import Settings
from chest_xray.training.model import ChestXrayNet, build_model, load_torchvision

BLOCKS = (6, 12, 24, 16)


def build(seed: int = 0, init: str = "none", findings: int = 14, **settings: object) -> ChestXrayNet:
    model = build_model(init, mean=0.5, std=0.25, findings=findings, seed=seed, settings=Settings(**settings))
    return model.eval()


def stir_norms(model: nn.Module) -> None:
    """Give batch norms statistics of their own, so that a mix-up of two of them shows."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)


@pytest.fixture(scope="module")
def model() -> ChestXrayNet:
    model = build()
    stir_norms(model)
    return model


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randint(0, 256, (3, 1, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def test_maps_average_to_the_logits(model: ChestXrayNet, images: Tensor) -> None:
    with torch.no_grad():
        logits, embedding, cam = model.explain(images)
        torch.testing.assert_close(logits, model(images))
    assert cam.shape == (3, 14, 3, 3)
    assert embedding.shape == (3, 1024)
    torch.testing.assert_close(cam.mean(dim=(2, 3)) + model.classifier.bias, logits)


def test_there_are_as_many_logits_and_maps_as_findings(images: Tensor) -> None:
    three = build(findings=3)
    with torch.no_grad():
        logits, embedding, cam = three.explain(images)
    assert (logits.shape, embedding.shape, cam.shape) == ((3, 3), (3, 1024), (3, 3, 3, 3))


def test_maps_are_grad_cam(model: ChestXrayNet, images: Tensor) -> None:
    """Grad-CAM by its definition: gradients of a logit, averaged over the map, weigh the last activations."""
    activation = torch.relu(model.features(model.normalise(images))).detach().requires_grad_()
    logits = model.classifier(activation.mean(dim=(2, 3)))
    with torch.no_grad():
        cam = model.explain(images).cam
    for finding in range(14):
        (gradient,) = torch.autograd.grad(logits[:, finding].sum(), activation, retain_graph=True)
        grad_cam = functional.relu((gradient.mean(dim=(2, 3), keepdim=True) * activation).sum(dim=1))
        cells = activation.shape[2] * activation.shape[3]
        torch.testing.assert_close(grad_cam.detach() * cells, functional.relu(cam[:, finding]))


def test_normalisation_is_inside(model: ChestXrayNet) -> None:
    grey = torch.full((1, 1, 64, 64), 128, dtype=torch.uint8)
    assert model.normalise(grey).unique().item() == pytest.approx((128 / 255 - 0.5) / 0.25, abs=1e-6)


def test_the_seed_decides_the_weights_and_global_state_stays() -> None:
    before = torch.get_rng_state()
    first, again, other = build(7).classifier.weight, build(7).classifier.weight, build(8).classifier.weight
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_network_is_monais(model: ChestXrayNet, images: Tensor) -> None:
    """MONAI's DenseNet121 with the same weights, in the order in which both define them, gives the same logits."""
    from monai.networks.nets.densenet import DenseNet121

    theirs = DenseNet121(spatial_dims=2, in_channels=1, out_channels=14).eval()
    ours = {name: value for name, value in model.state_dict().items() if name not in ("mean", "std")}
    assert [v.shape for v in theirs.state_dict().values()] == [v.shape for v in ours.values()]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.values(), strict=True)))
    with torch.no_grad():
        torch.testing.assert_close(model(images), theirs(model.normalise(images)))


def torchvision_shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of densenet121-a639ec97.pth, as torchvision published it (`norm.1`, no step counters)."""

    def norm(name: str, channels: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from ((f"{name}.{part}", (channels,)) for part in ("weight", "bias", "running_mean", "running_var"))

    yield "features.conv0.weight", (64, 3, 7, 7)
    yield from norm("features.norm0", 64)
    channels = 64
    for block, layers in enumerate(BLOCKS, start=1):
        for layer in range(1, layers + 1):
            name = f"features.denseblock{block}.denselayer{layer}"
            yield from norm(f"{name}.norm.1", channels)
            yield f"{name}.conv.1.weight", (128, channels, 1, 1)
            yield from norm(f"{name}.norm.2", 128)
            yield f"{name}.conv.2.weight", (32, 128, 3, 3)
            channels += 32
        if block < len(BLOCKS):
            yield from norm(f"features.transition{block}.norm", channels)
            yield f"features.transition{block}.conv.weight", (channels // 2, channels, 1, 1)
            channels //= 2
    yield from norm("features.norm5", channels)
    yield "classifier.weight", (1000, channels)
    yield "classifier.bias", (1000,)


def torchvision_state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    state = {}
    for name, shape in torchvision_shapes():
        if name.endswith("running_var") or ("norm" in name and name.endswith("weight")):
            state[name] = torch.rand(shape, generator=generator) + 0.5
        else:
            fan_in = max(1, torch.Size(shape[1:]).numel())
            state[name] = torch.randn(shape, generator=generator) * fan_in**-0.5
    return state


def torchvision_features(state: dict[str, Tensor], rgb: Tensor) -> Tensor:
    """DenseNet121 by its paper (Huang et al., CVPR 2017), on torchvision's names, written apart from MONAI's."""

    def norm_relu(x: Tensor, name: str) -> Tensor:
        parts = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.relu(functional.batch_norm(x, *parts))

    x = functional.conv2d(rgb, state["features.conv0.weight"], stride=2, padding=3)
    x = functional.max_pool2d(norm_relu(x, "features.norm0"), kernel_size=3, stride=2, padding=1)
    for block, layers in enumerate(BLOCKS, start=1):
        for layer in range(1, layers + 1):
            name = f"features.denseblock{block}.denselayer{layer}"
            new = functional.conv2d(norm_relu(x, f"{name}.norm.1"), state[f"{name}.conv.1.weight"])
            new = functional.conv2d(norm_relu(new, f"{name}.norm.2"), state[f"{name}.conv.2.weight"], padding=1)
            x = torch.cat([x, new], dim=1)
        if block < len(BLOCKS):
            name = f"features.transition{block}"
            x = functional.avg_pool2d(functional.conv2d(norm_relu(x, f"{name}.norm"), state[f"{name}.conv.weight"]), 2)
    return norm_relu(x, "features.norm5")


@pytest.mark.parametrize("later_spelling", [False, True])
def test_imagenet_weights_give_torchvision_features(tmp_path: Path, images: Tensor, later_spelling: bool) -> None:
    state = torchvision_state()
    renamed = (
        {re.sub(r"\.(norm|conv)\.([12])\.", r".\1\2.", n): v for n, v in state.items()} if later_spelling else state
    )
    torch.save(renamed, tmp_path / "densenet121.pth")
    model = build(init="imagenet", imagenet_weights=tmp_path / "densenet121.pth")
    with torch.no_grad():
        grey = model.normalise(images)
        expected = torchvision_features(state, grey.expand(-1, 3, -1, -1))
        found = torch.relu(model.features(grey))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_weights_of_another_network_are_refused(model: ChestXrayNet, tmp_path: Path) -> None:
    state = torchvision_state()
    state.pop("features.denseblock3.denselayer9.conv.1.weight")
    with pytest.raises(TrainingError, match=r"denseblock3\.denselayer9\.conv1\.weight"):
        load_torchvision(build(), state)
    with pytest.raises(TrainingError, match=r"no RGB features\.conv0\.weight"):
        load_torchvision(build(), {"conv1.weight": torch.zeros(64, 3, 7, 7)})
    save_file({"classifier.weight": torch.zeros(14, 1024)}, tmp_path / "partial.safetensors")
    with pytest.raises(TrainingError, match="does not hold this network's weights"):
        build(init=str(tmp_path / "partial.safetensors"))
    (tmp_path / "torn.safetensors").write_bytes(b"\x10")
    with pytest.raises(TrainingError, match=r"torn\.safetensors does not hold"):
        build(init=str(tmp_path / "torn.safetensors"))
    (tmp_path / "torn.pth").write_bytes(b"PK" * 100)
    with pytest.raises(TrainingError, match=r"torn\.pth is not a torch file of weights"):
        build(init=str(tmp_path / "torn.pth"))
    with pytest.raises(TrainingError, match=r"there are no weights at resnet"):
        build(init="resnet")
    with pytest.raises(TrainingError, match=r"CXR_IMAGENET_WEIGHTS is .* no file"):
        build(init="imagenet", imagenet_weights=tmp_path / "absent.pth")


def test_init_path_gives_the_same_network(model: ChestXrayNet, images: Tensor, tmp_path: Path) -> None:
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, tmp_path / "w.safetensors")
    again = build(seed=5, init=str(tmp_path / "w.safetensors"))
    with torch.no_grad():
        assert torch.equal(again(images), model(images))
