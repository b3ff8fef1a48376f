"""Augmentation: mild, local in its randomness, and never a mirror."""

import pytest
import torch

from chest_xray.training.augment import augment
from chest_xray.training.config import TrainConfig

STILL = TrainConfig(rotation_degrees=0, scale=0, shift=0, contrast=0, brightness=0)


def draw(config: TrainConfig, images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return augment(images, config, torch.Generator().manual_seed(seed))


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (16, 1, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_without_ranges_nothing_changes(images: torch.Tensor) -> None:
    torch.testing.assert_close(draw(STILL, images), images.float(), rtol=0, atol=1e-3)


def test_the_generator_decides_and_each_image_differs(images: torch.Tensor) -> None:
    same = images[:1].expand(16, -1, -1, -1)
    first = draw(TrainConfig(), same, seed=3)
    assert torch.equal(first, draw(TrainConfig(), same, seed=3))
    assert not torch.equal(first, draw(TrainConfig(), same, seed=4))
    assert len({image.numpy().tobytes() for image in first}) == 16


def test_values_stay_on_the_scale(images: torch.Tensor) -> None:
    wild = TrainConfig(contrast=0.9, brightness=0.9)
    result = draw(wild, images)
    assert result.dtype == torch.float32
    assert result.min() >= 0
    assert result.max() <= 255


def test_the_heart_stays_on_its_side() -> None:
    """A bright left half stays left of the middle at the largest rotation, scale and shift."""
    half = torch.zeros(200, 1, 48, 48)
    half[..., :24] = 255
    result = draw(STILL.model_copy(update={"rotation_degrees": 10, "scale": 0.1, "shift": 0.05}), half)
    columns = result.mean(dim=(1, 2))
    centre = (columns * torch.arange(48)).sum(dim=1) / columns.sum(dim=1)
    assert (centre < 20).all()


@pytest.mark.parametrize(("field", "value", "ratio"), [("scale", 0.2, 0.3), ("shift", 0.1, 0.0)])
def test_scale_changes_area_and_shift_does_not(field: str, value: float, ratio: float) -> None:
    square = torch.zeros(400, 1, 64, 64)
    square[..., 24:40, 24:40] = 255
    area = draw(STILL.model_copy(update={field: value}), square).sum(dim=(1, 2, 3)) / 255
    assert area.max() / 256 - 1 == pytest.approx(1.2**2 - 1 if ratio else 0.0, abs=0.03)
    assert area.min() / 256 - 1 == pytest.approx(0.8**2 - 1 if ratio else 0.0, abs=0.03)
