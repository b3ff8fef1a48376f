"""Writes tiny NIH-format folders: what the tests of the data room start from."""

import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from chest_xray.data.prepare.prepare import prepare_data

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
LABELS = ("No Finding", "Mass", "Effusion|Infiltration", "Hernia")


def row(image: str, labels: str = "No Finding", patient: int | str = 1, **cells: str) -> str:
    """A line of Data_Entry, with the trailing empty cell of the original file."""
    age, sex, view = cells.get("age", "50"), cells.get("sex", "F"), cells.get("view", "PA")
    return f"{image},{labels},0,{patient},{age},{sex},{view},2500,2048,0.168,0.168,"


def write_csv(folder: Path, rows: Sequence[str], name: str = "Data_Entry_2017_v2020.csv", header: str = HEADER) -> Path:
    """Write a table; the folder is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def film(seed: int, height: int = 48, width: int = 40) -> np.ndarray:
    """Smooth noise, different for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 5), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def write_nih_folder(folder: Path, patients: int = 8, films: int = 3, lists: bool = True) -> list[str]:
    """Write `films` images of each patient; every fourth patient is in the test list. Returns the names."""
    names = [
        (f"{patient:08d}_{number:03d}.png", patient) for patient in range(1, patients + 1) for number in range(films)
    ]
    rows = [row(name, LABELS[i % len(LABELS)], patient) for i, (name, patient) in enumerate(names)]
    write_csv(folder, rows)
    (folder / "images").mkdir()
    for seed, (name, _) in enumerate(names):
        Image.fromarray(film(seed)).save(folder / "images" / name)
    if lists:
        test = [name for name, patient in names if patient % 4 == 0]
        rest = [name for name, patient in names if patient % 4]
        (folder / "test_list.txt").write_text("\n".join(test) + "\n")
        (folder / "train_val_list.txt").write_text("\n".join(rest) + "\n")
    return [name for name, _ in names]


def write_shards(folder: Path, image_size: int, *, patients: int, **options: float) -> Path:
    """FOLDER/nih by `write_nih_folder` and the shards made of it, which are returned; options are `prepare_data`'s."""
    write_nih_folder(folder / "nih", patients=patients)
    prepare_data(folder / "nih", folder / "shards", image_size=image_size, workers=1, **options)
    return folder / "shards"


def pack_archives(folder: Path, packed: Path, parts: int = 3) -> None:
    """The same NIH folder as NIH ships it: the tables and images_001.tar.gz ..., members in a shuffled order."""
    packed.mkdir()
    for table in folder.glob("*.*"):
        (packed / table.name).write_bytes(table.read_bytes())
    files = sorted((folder / "images").iterdir())
    for part in range(parts):
        with tarfile.open(packed / f"images_{part + 1:03d}.tar.gz", "w:gz") as archive:
            for path in reversed(files[part::parts]):
                archive.add(path, f"images/{path.name}")
