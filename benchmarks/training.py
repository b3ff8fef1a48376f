"""Our training step against the usual one, and what it waits for its data.

    python -m benchmarks.training [--batch-size 16] [--steps 3] [--rounds 3]

The usual step is fp32, eager, contiguous: DenseNet121 on a batch that lies ready in memory, cross-entropy, AdamW.
Ours has everything on top that `cxr train` does: reading shards, augmentation, weighted loss, averaged weights. The two
alternate in one process; a step's time is the median over all rounds. The last line is a JSON object:

    step_speedup   usual seconds a step over ours, same batch, 224 px (bar: 2.0)
    loader_share   part of our step spent waiting for its batch (bar: at most 0.05)
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from monai.networks.nets.densenet import DenseNet121
from torch import nn

from benchmarks.machine import describe_machine
from chest_xray.data.phantom import write_phantom
from chest_xray.data.prepare.prepare import prepare_data
from chest_xray.data.shards import Shards
from chest_xray.settings import Settings
from chest_xray.training.config import TrainConfig
from chest_xray.training.learner import Learner
from chest_xray.training.loader import Batch, epoch_order

RESULT = Path(__file__).parent / "results"
IMAGE_SIZE = 224
IMAGES = 160


def main() -> None:
    """Measure, print, and keep the result by device."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3, help="timed steps of each kind in a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(_shards(Path(scratch)), options.batch_size, options.steps, options.rounds)
    RESULT.mkdir(exist_ok=True)
    (RESULT / f"training-{result['device']}.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


def measure(shards: Shards, batch_size: int, steps: int, rounds: int) -> dict[str, object]:
    """Alternate the two kinds of step; one untimed step of each comes first in every round."""
    learner = Learner(shards, TrainConfig(batch_size=batch_size), Settings())
    order = epoch_order(learner.train_rows, batch_size, seed=0, epoch=0)
    ready = next(learner.loader.batches(order))
    usual = _usual_step(ready, learner.device)
    ours_s: list[float] = []
    usual_s: list[float] = []
    waited = 0.0
    for _ in range(rounds):
        learner.train_step(ready)
        batches = learner.loader.batches((order * (steps // len(order) + 1))[: steps + 1])
        next(batches)  # the first batch of an epoch has no step to hide behind
        waited_before = learner.loader.waited
        ours = partial(_our_step, learner, batches)
        ours_s.extend(_seconds(ours, learner.device) for _ in range(steps))
        waited += learner.loader.waited - waited_before
        usual()
        usual_s.extend(_seconds(usual, learner.device) for _ in range(steps))
    our_median, usual_median = statistics.median(ours_s), statistics.median(usual_s)
    return {
        "step_speedup": round(usual_median / our_median, 2),
        "loader_share": round(waited / sum(ours_s), 4),
        "ours_ms_per_image": round(our_median / batch_size * 1e3, 2),
        "usual_ms_per_image": round(usual_median / batch_size * 1e3, 2),
        "ours_step_s": [round(value, 4) for value in ours_s],
        "usual_step_s": [round(value, 4) for value in usual_s],
        "batch_size": batch_size,
        "image_size": shards.image_size,
        "device": learner.device.type,
        "accelerator": torch.cuda.get_device_name() if learner.device.type == "cuda" else None,
        "images": "phantom",
        "machine": describe_machine(),
    }


def _our_step(learner: Learner, batches: Iterator[Batch]) -> float:
    return learner.train_step(next(batches))


def _usual_step(batch: Batch, device: torch.device) -> Callable[[], object]:
    torch.manual_seed(0)
    model = DenseNet121(spatial_dims=2, in_channels=1, out_channels=14).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss_of = nn.BCEWithLogitsLoss()
    images, labels = batch.images.to(device).float() / 255, batch.labels.to(device)

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_of(model(images), labels)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def _seconds(step: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _shards(scratch: Path) -> Shards:
    write_phantom(scratch / "phantom", images=IMAGES, size=256, seed=0)
    prepare_data(scratch / "phantom", scratch / "shards", image_size=IMAGE_SIZE)
    return Shards.open(scratch / "shards")


if __name__ == "__main__":
    main()
