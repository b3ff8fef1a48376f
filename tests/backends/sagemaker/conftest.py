"""Shards that a job trains on in seconds."""

from pathlib import Path

import pytest
from tests.support.nih_folders import write_nih_folder

from chest_xray.data.prepare.prepare import prepare_data


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_nih_folder(folder / "nih", patients=24, films=3)
    prepare_data(folder / "nih", folder / "shards", image_size=32, workers=1, validation_fraction=0.2)
    return folder / "shards"
