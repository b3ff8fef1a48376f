"""The graph that was verified is the graph that answers, whatever becomes of the bundle's files afterwards."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from tests.support.bundles import BIASES, film, graph, png, write_bundle

from chest_xray.inference.engines import EngineName, OnnxRuntimeEngine
from chest_xray.inference.predictor import OnnxPredictor

THREADS: Final = 4
FILMS: Final = [png(film(seed)) for seed in range(4)]


def other_graph() -> bytes:
    """The tiny graph with all logits 5 higher."""
    model = graph()
    for tensor in model.graph.initializer:
        if tensor.name == "biases":
            tensor.CopyFrom(numpy_helper.from_array(BIASES + np.float32(5), "biases"))
    return model.SerializeToString()


def flip(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
    path.write_bytes(data)


def alter(root: Path, rng: random.Random) -> None:
    """One of the things that can become of a bundle."""
    graph_file = root / "model.onnx"
    ways: tuple[Callable[[], object], ...] = (
        lambda: graph_file.write_bytes(other_graph()),
        lambda: flip(graph_file, rng),
        lambda: flip(rng.choice(sorted(path for path in root.rglob("*") if path.is_file())), rng),
        lambda: graph_file.write_bytes(graph_file.read_bytes()[: rng.randrange(graph_file.stat().st_size)]),
        graph_file.unlink,
        lambda: shutil.rmtree(root),
    )
    rng.choice(ways)()


def answers(predictor: OnnxPredictor) -> list[NDArray[np.float32]]:
    """Logits of films that come at once, again and again: every number of threads has its turn."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(predictor.logits, FILMS * 2))


def differing(count: int, folder: Path, *, seed: int = 0, engine: EngineName = "onnxruntime") -> int:
    """How many of `count` bundles, altered once they were loaded, gave another answer than before."""
    whole = write_bundle(folder / "whole").root
    expected = answers(OnnxPredictor.load(whole, threads=1))
    found = 0
    for number in range(count):
        root = shutil.copytree(whole, folder / "altered")
        predictor = OnnxPredictor.load(root, threads=THREADS, engine=engine)
        alter(root, random.Random(f"{seed} {number}"))
        found += not all(np.allclose(a, b, atol=1e-5) for a, b in zip(answers(predictor), expected, strict=True))
        shutil.rmtree(root, ignore_errors=True)
    return found


def test_alterations_after_loading_change_no_answer(tmp_path: Path) -> None:
    assert differing(40, tmp_path) == 0


def test_nor_with_openvino(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    assert differing(6, tmp_path, engine="openvino") == 0


def test_the_other_graph_is_one_that_would_answer(tmp_path: Path) -> None:
    """Guards the tests above."""
    bundles = [write_bundle(tmp_path / name, onnx_bytes=raw) for name, raw in (("one", None), ("two", other_graph()))]
    one, two = (OnnxRuntimeEngine(bundle, 1).run(film(1)[np.newaxis]).logits for bundle in bundles)
    np.testing.assert_allclose(two, one + 5, atol=1e-5)
