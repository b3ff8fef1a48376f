"""A small NIH folder with faults, and the dataset that prepare-data makes of it."""

from pathlib import Path

import pytest
from tests.support.nih_folders import BOX_HEADER, write_csv, write_nih_folder
from tests.support.preparing import prepare


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 images of 8 patients, 3 boxes; one file is cut off and one is text."""
    folder = tmp_path_factory.mktemp("nih") / "source"
    names = write_nih_folder(folder)
    cut = folder / "images" / names[7]
    cut.write_bytes(cut.read_bytes()[:200])
    (folder / "images" / names[20]).write_text("not an image")
    boxes = [f"{names[1]},Mass,10,12,20,24,,,", f"{names[1]},Nodule,0,0,40,48,,,", "gone.png,Mass,1,1,1,1,,,"]
    write_csv(folder, boxes, "BBox_List_2017.csv", BOX_HEADER)
    return folder


@pytest.fixture(scope="session")
def prepared(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("prepared") / "dataset"
    prepare(source, output)
    return output
