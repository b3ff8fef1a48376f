"""Which split a patient belongs to. All images of a patient are in one split, always.

NIH's two lists decide between `test` and the rest where they are present. What they leave open is decided
by a hash of the patient's number: it is the same on every machine, and it does not move when images are
added or left out.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from chest_xray.errors import DataError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
TRAIN_VAL_LIST = "train_val_list.txt"
TEST_LIST = "test_list.txt"
# Without lists, as large a part as NIH's own test list: 2,797 of 30,805 patients hold 22.8% of the images.
TEST_FRACTION = 0.2


def patient_position(patient: int, purpose: str) -> float:
    """A number in 0..1, evenly spread over patients: the first 8 bytes of SHA-256 of `purpose:patient`."""
    digest = hashlib.sha256(f"{purpose}:{patient}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_by_hash(patient: int, validation_fraction: float, *, has_test_list: bool) -> Split:
    """The split of a patient: `test` only when there is no list to say so, then `val`, else `train`."""
    if not has_test_list and patient_position(patient, "test") < TEST_FRACTION:
        return "test"
    return "val" if patient_position(patient, "validation") < validation_fraction else "train"


def read_lists(source: Path) -> tuple[list[str], list[str]] | None:
    """The image names in train_val_list.txt and in test_list.txt, or None when neither file is there.

    Raises:
        DataError: one list without the other, a file that is not text, or an image named twice.
    """
    paths = (source / TRAIN_VAL_LIST, source / TEST_LIST)
    present = [path for path in paths if path.is_file()]
    if not present:
        return None
    if len(present) == 1:
        missing = TEST_LIST if present[0].name == TRAIN_VAL_LIST else TRAIN_VAL_LIST
        raise DataError(f"{present[0]} is there but {missing} is not: add it, or remove both to split by patient.")
    train_val, test = _read_list(paths[0]), _read_list(paths[1])
    _refuse_repeats(paths[0], train_val)
    _refuse_repeats(paths[1], test)
    twice = sorted(set(train_val) & set(test))
    if twice:
        raise DataError(
            f"{twice[0]} is in both {TRAIN_VAL_LIST} and {TEST_LIST} ({len(twice)} such images): "
            "an image belongs to one list; take the lists as NIH publishes them."
        )
    return train_val, test


def split_images(
    patients: Mapping[str, int], lists: tuple[Sequence[str], Sequence[str]] | None, validation_fraction: float
) -> dict[str, Split]:
    """The split of every image in `patients` (image name -> patient number).

    Raises:
        DataError: a listed image has no row in the CSV, an image is in no list, or a patient is in both
        lists.
    """
    if lists is None:
        return {
            image: split_by_hash(patient, validation_fraction, has_test_list=False)
            for image, patient in patients.items()
        }
    train_val, test = lists
    for name, images in ((TRAIN_VAL_LIST, train_val), (TEST_LIST, test)):
        unknown = [image for image in images if image not in patients]
        if unknown:
            raise DataError(
                f"{name}: {unknown[0]} has no row in the Data_Entry CSV ({len(unknown)} such images): "
                "take the lists and the CSV from the same place."
            )
    unlisted = sorted(set(patients).difference(train_val, test))
    if unlisted:
        raise DataError(
            f"{unlisted[0]} is in neither {TRAIN_VAL_LIST} nor {TEST_LIST} ({len(unlisted)} such images): "
            "add them to a list, or remove both lists to split by patient."
        )
    _refuse_shared_patients(patients, train_val, test)
    splits: dict[str, Split] = dict.fromkeys(test, "test")
    for image in train_val:
        splits[image] = split_by_hash(patients[image], validation_fraction, has_test_list=True)
    return splits


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: one image name a line is expected.") from error
    return [line.strip() for line in lines if line.strip()]


def _refuse_repeats(path: Path, images: list[str]) -> None:
    seen: set[str] = set()
    for image in images:
        if image in seen:
            raise DataError(f"{path} names {image} twice: remove one of the lines.")
        seen.add(image)


def _refuse_shared_patients(patients: Mapping[str, int], train_val: Sequence[str], test: Sequence[str]) -> None:
    shared = sorted({patients[image] for image in train_val} & {patients[image] for image in test})
    if shared:
        raise DataError(
            f"Patient {shared[0]} has images in both {TRAIN_VAL_LIST} and {TEST_LIST} "
            f"({len(shared)} such patients): a test on patients seen in training proves nothing; "
            "move each patient to one list."
        )
