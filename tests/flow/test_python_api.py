"""The public Python API: what `import chest_xray` offers, what it costs, and that docs/python.md is true."""

import re
from pathlib import Path

import numpy as np
import pytest
from tests.support import bundles
from tests.support.nih_folders import write_nih_folder
from tests.support.preparing import prepare
from tests.support.processes import ROOT, run_python

import chest_xray
from chest_xray.images.decode import decode_film
from chest_xray.inference.predictor import OnnxPredictor

PUBLIC = [
    *("FINDINGS", "BundleError", "ChestXrayError", "DataError", "Film", "ImageError", "Prediction", "Shards"),
    *("decode", "load"),
]


def test_the_public_names_are_these_and_all_are_there() -> None:
    assert chest_xray.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(chest_xray))
    for name in PUBLIC:
        assert getattr(chest_xray, name) is not None
    with pytest.raises(AttributeError, match="module 'chest_xray' has no attribute 'weights'"):
        _ = chest_xray.weights


def test_import_alone_loads_nothing_heavy() -> None:
    heavy = ("numpy", "onnxruntime", "torch", "PIL", "pydantic", "pyarrow", "mlflow")
    script = f"import sys, chest_xray\nprint([name for name in {heavy!r} if name in sys.modules])"
    assert run_python(script).stdout.strip() == "[]"


def test_load_and_decode_are_what_the_service_uses(tmp_path: Path, tiny_predictor: OnnxPredictor) -> None:
    root = bundles.write_bundle(tmp_path / "bundle").root
    data = bundles.png(bundles.film(3))
    prediction = chest_xray.load(str(root)).predict(data)
    assert prediction.findings == tiny_predictor.predict(data).findings
    assert chest_xray.load(root).identity.digest == prediction.model.digest
    np.testing.assert_array_equal(chest_xray.decode(data).grey, decode_film(data).grey)
    with pytest.raises(chest_xray.BundleError):
        chest_xray.load(tmp_path / "none")


def test_the_page_on_python_runs_as_it_is_written(tmp_path: Path) -> None:
    """All of its code, from the first line to the last, in a folder with a bundle, a film and shards."""
    document = (ROOT / "docs" / "python.md").read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", document, re.DOTALL))
    bundles.write_bundle(tmp_path / "bundle")
    film = bundles.film(3)
    (tmp_path / "film.png").write_bytes(bundles.png(film))
    write_nih_folder(tmp_path / "nih")
    prepare(tmp_path / "nih", tmp_path / "shards")
    ran = run_python(code, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    known = bundles.known_outputs(film)
    first = bundles.profile(0)
    logit = first.calibration.slope * known.logits[0] + first.calibration.intercept
    assert lines[0].split()[:2] == ["Atelectasis", f"{1 / (1 + np.exp(-logit)):.3f}"]
    assert lines[13].split()[0] == "Hernia"
    assert "no operating point" in lines[13]
    assert lines[14] == "True"
    assert lines[17].endswith("(2, 2) float32")
    assert "PDF" in lines[18]
    assert lines[19] == f"image/png {film.shape} uint8 None"
    assert lines[20] == "24 (2, 32, 32) True"
