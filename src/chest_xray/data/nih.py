"""An NIH ChestX-ray14 folder -> a manifest: every image, its labels, its split and where its file is.

    FOLDER/Data_Entry_2017_v2020.csv      or Data_Entry_2017.csv, the labels of 2017
    FOLDER/train_val_list.txt, test_list.txt      optional, both or none
    FOLDER/BBox_List_2017.csv             optional
    FOLDER/images/*.png                   or images_001/images/*.png ..., or images_001.tar.gz ... left packed

Wang et al., "ChestX-ray8", CVPR 2017. `cxr download-nih` fetches the archives; `cxr phantom` writes a
synthetic folder.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import attrgetter
from pathlib import Path
from typing import Literal

from chest_xray.data.nih_tables import Box, Entry, read_boxes, read_entries
from chest_xray.data.split import Split, read_lists, split_images
from chest_xray.errors import DataError
from chest_xray.findings import FINDINGS
from chest_xray.notices import PHANTOM

PHANTOM_FILE = "phantom.json"  # `cxr phantom` leaves it, so that no figure of phantoms passes for one of patients
LABEL_FILES = {"v2020": "Data_Entry_2017_v2020.csv", "2017": "Data_Entry_2017.csv"}
BOX_FILE = "BBox_List_2017.csv"
ARCHIVES = "images_*.tar.gz"
IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg"))
LIST_FILES = ("train_val_list.txt", "test_list.txt")
# What describes the films, without the films.
TABLE_FILES = (*LABEL_FILES.values(), *LIST_FILES, BOX_FILE, PHANTOM_FILE)
_IMAGE_FOLDER = re.compile(r"images|images_[^/]*(/images)?")


@dataclass(frozen=True)
class ImageFiles:
    """Where the image files are: unpacked (`files`, name -> path) or in archives, never both."""

    files: dict[str, str]
    archives: tuple[Path, ...]
    sizes: dict[str, int]  # bytes, by the name of the file or archive


@dataclass(frozen=True)
class Manifest:
    """A source of films, read and checked. Entries are in the order of their image names."""

    label_version: str  # 'v2020', '2017' or 'phantom'
    findings: tuple[str, ...]  # in the order of every entry's labels
    split_source: Literal["lists", "patient hash"]
    entries: tuple[Entry, ...]
    splits: dict[str, Split]
    boxes: dict[str, list[Box]]
    images: ImageFiles
    unknown: Counter[str]
    fingerprint: str  # SHA-256 of the tables and of the names and sizes of the image files


def read_nih(source: Path, *, validation_fraction: float = 0.1, images: ImageFiles | None = None) -> Manifest:
    """Read and check an NIH folder; no image is opened.

    Images with a row in the CSV and no file are not an error: NIH's archives are often unpacked in part.

    Args:
        source: the folder.
        validation_fraction: part of the train_val patients, 0..1, drawn for validation by a hash of their
        number.
        images: the films, where they lie elsewhere than below `source`.

    Raises:
        DataError: one line, naming the file, the line or the image, and what to do.
    """
    if not source.is_dir():
        raise DataError(f"{source} is not a folder: an NIH-format folder is expected.")
    label_version, label_path = _label_file(source)
    images = images or find_images(source)
    entries = read_entries(label_path)
    rows = tuple(sorted(entries.rows, key=attrgetter("image")))
    lists = read_lists(source)
    splits = split_images({entry.image: entry.patient for entry in rows}, lists, validation_fraction)
    box_path = source / BOX_FILE
    return Manifest(
        label_version=label_version,
        findings=FINDINGS,
        split_source="patient hash" if lists is None else "lists",
        entries=rows,
        splits=splits,
        boxes=read_boxes(box_path) if box_path.is_file() else {},
        images=images,
        unknown=entries.unknown,
        fingerprint=_fingerprint(source, label_path, images),
    )


def find_images(source: Path) -> ImageFiles:
    """Find the image files under an NIH folder, or the archives when nothing is unpacked.

    Raises:
        DataError: no image and no archive, or two files of one name.
    """
    listed = {path.name: path.stat().st_size for path in source.glob(ARCHIVES) if path.is_file()}
    for folder in _image_folders(source):
        with os.scandir(folder) as found:
            below = folder.relative_to(source).as_posix()
            listed |= {f"{below}/{entry.name}": entry.stat().st_size for entry in found if entry.is_file()}
    return choose_images(listed, str(source))


def choose_images(listed: Mapping[str, int], source: str) -> ImageFiles:
    """The same of a source that was listed: the files below it by their relative names, with their sizes in bytes.

    Args:
        listed: `images/x.png` or `images_001/images/x.png`, `images_001.tar.gz` and whatever else is there.
        source: what the names are below, a folder or a prefix of S3.

    Raises:
        DataError: no image and no archive, or two files of one name.
    """
    files: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for place, size in sorted(listed.items()):
        folder, _, name = place.rpartition("/")
        # macOS leaves "._name.png" beside every file it unpacks to a foreign disk.
        if name.startswith(".") or not is_image_name(name) or not _IMAGE_FOLDER.fullmatch(folder):
            continue
        if name in files:
            raise DataError(f"{name} is there twice, as {files[name]} and as {source}/{place}: remove one.")
        files[name] = f"{source}/{place}"
        sizes[name] = size
    archives = tuple(sorted(name for name in listed if "/" not in name and fnmatchcase(name, ARCHIVES)))
    if files:
        return ImageFiles(files, (), sizes)
    if archives:
        return ImageFiles({}, tuple(Path(source, name) for name in archives), {name: listed[name] for name in archives})
    raise DataError(
        f"{source} holds no images: expected images/*.png, images_001/images/*.png or {ARCHIVES}; "
        "`cxr download-nih` fetches the archives, `cxr phantom` writes a synthetic folder."
    )


def _label_file(source: Path) -> tuple[str, Path]:
    for version, name in LABEL_FILES.items():
        if (source / name).is_file():
            return PHANTOM if (source / PHANTOM_FILE).is_file() else version, source / name
    raise DataError(f"{source} has no {' and no '.join(LABEL_FILES.values())}: put one of them beside the images.")


def _image_folders(source: Path) -> list[Path]:
    parts = sorted(path for path in source.glob("images_*") if path.is_dir())
    candidates = [source / "images", *(folder for part in parts for folder in (part, part / "images"))]
    return [folder for folder in candidates if folder.is_dir()]


def is_image_name(name: str) -> bool:
    """Whether a file's name says that it is an image."""
    return name[name.rfind(".") :].lower() in IMAGE_SUFFIXES


def _fingerprint(source: Path, label_path: Path, images: ImageFiles) -> str:
    digest = hashlib.sha256()
    for path in (label_path, *(source / name for name in LIST_FILES), source / BOX_FILE):
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    for name, size in sorted(images.sizes.items()):
        digest.update(f"{name} {size}\n".encode())
    return digest.hexdigest()
