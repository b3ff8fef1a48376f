"""A model of real films for the benchmarks: trained on nih-mini once, and kept."""

from __future__ import annotations

from pathlib import Path

from chest_xray.data.prepare.prepare import prepare_data
from chest_xray.evaluation.evaluate import evaluate
from chest_xray.evaluation.measure import Choices
from chest_xray.export.export import export
from chest_xray.settings import Settings
from chest_xray.training.config import TrainConfig
from chest_xray.training.train import train

KEPT = Path(__file__).parents[2] / ".benchmarks" / "nih-mini"
IMAGE_SIZE = 224
CONFIG = TrainConfig(epochs=8, batch_size=16, learning_rate=0.001, ema_decay=0.99, patience=8)


def nih_mini_bundle(real_data: Path) -> Path:
    """The bundle of a network trained on REAL_DATA/nih-mini at 224 pixels, under `.benchmarks/`.

    Every step finds what an earlier run left there and does nothing then. The first time takes about 20 minutes on two
    cores.
    """
    shards, run = KEPT / "shards", KEPT / "run"
    settings = Settings(home=KEPT / "home")
    prepare_data(real_data / "nih-mini", shards, image_size=IMAGE_SIZE)
    train(shards, run, CONFIG, settings)
    evaluate(run, shards, settings, Choices(rounds=200))
    return export(run, shards).root
