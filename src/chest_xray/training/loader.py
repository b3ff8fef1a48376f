"""Batches of an epoch, in an order that seed and epoch alone decide, read one step ahead."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from chest_xray.data.shards import Shards


class Batch(NamedTuple):
    """Images uint8 (B, 1, S, S) and labels float32 (B, F)."""

    images: Tensor
    labels: Tensor


def epoch_order(rows: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Shuffle the rows exactly and cut them into full batches; a rest too small for one waits for the next epoch."""
    shuffled = np.random.default_rng([seed, epoch]).permutation(rows)
    return [shuffled[i : i + batch_size] for i in range(0, len(rows) - batch_size + 1, batch_size)]


class Loader:
    """Reads shards on one thread while the step runs. `waited` sums the seconds a step stood waiting for its batch."""

    def __init__(self, shards: Shards, *, pin: bool = False) -> None:
        self._shards = shards
        self._pin = pin
        self.waited = 0.0

    def batches(self, order: list[NDArray[np.int64]]) -> Iterator[Batch]:
        """Yield the batches of `order`, each read while the one before it is in use."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="loader") as reader:
            ahead: Future[Batch] | None = None
            for rows in order:
                behind, ahead = ahead, reader.submit(self._read, rows)
                if behind is not None:
                    yield self._wait(behind)
            if ahead is not None:
                yield self._wait(ahead)

    def _wait(self, batch: Future[Batch]) -> Batch:
        started = time.perf_counter()
        result = batch.result()
        self.waited += time.perf_counter() - started
        return result

    def _read(self, rows: NDArray[np.int64]) -> Batch:
        images = torch.from_numpy(self._shards.read(rows)).unsqueeze(1)
        labels = torch.from_numpy(self._shards.labels[rows].astype(np.float32))
        return Batch(images.pin_memory(), labels.pin_memory()) if self._pin else Batch(images, labels)
