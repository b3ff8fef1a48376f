"""Fixtures that several rooms use."""

import os
import signal
from pathlib import Path

import pytest
from tests.support.bundles import write_bundle

from chest_xray.inference.predictor import OnnxPredictor

pytest_plugins = ["tests.support.left_out"]

# A shell that starts a run in the background lets it ignore Ctrl-C, and what is ignored is inherited:
# the tests that send it to a child process would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no worker begins one while the others have nothing left to do."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real radiographs (`nih-mini/`, `nih-fullsize/`, `dicom/`)."""
    return Path(os.environ["CXR_REAL_DATA"])  # tests.support.left_out leaves out who asks for it where it is not set


@pytest.fixture(scope="session")
def tiny_predictor(tmp_path_factory: pytest.TempPathFactory) -> OnnxPredictor:
    """A predictor over `tests.support.bundles`' tiny bundle, whose numbers are known by hand."""
    root = write_bundle(tmp_path_factory.mktemp("tiny") / "bundle").root
    return OnnxPredictor.load(root, name="tiny", version=1)
