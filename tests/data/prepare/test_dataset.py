"""prepare-data writes the right values, and the same bytes on every way."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.nih_folders import film, pack_archives, write_nih_folder
from tests.support.preparing import FIVE_ROWS, SIZE, contents, data_files, prepare

from chest_xray.data.prepare.prepare import prepare_data
from chest_xray.data.shards import Shards
from chest_xray.data.split import split_by_hash
from chest_xray.findings import FINDINGS
from chest_xray.images.preprocess import preprocess


def test_every_stored_image_is_its_preprocessed_source(source: Path, prepared: Path) -> None:
    shards = Shards.open(prepared)
    names = sorted(path.name for path in (source / "images").iterdir())
    kept = [name for number, name in enumerate(names) if number not in (7, 20)]
    assert shards.images == kept
    pixels = shards.read(np.arange(len(shards)))
    assert pixels.dtype == np.uint8
    for number, name in enumerate(kept):
        np.testing.assert_array_equal(pixels[number], preprocess(film(names.index(name)), SIZE))
    np.testing.assert_allclose(shards.pixel_mean, pixels.mean((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(shards.pixel_std, pixels.std((1, 2)), rtol=1e-6)


def test_the_columns_follow_the_csv(prepared: Path) -> None:
    shards = Shards.open(prepared)
    assert shards.image_size == SIZE
    assert shards.label_version == "v2020"
    assert shards.patients.tolist() == [int(name[:8]) for name in shards.images]
    assert shards.labels.shape == (22, 14)
    assert [FINDINGS[i] for i in np.flatnonzero(shards.labels[2])] == ["Effusion", "Infiltration"]
    # Six images of each of the four kinds of label, less a Hernia (the cut file) and a No Finding (the text).
    assert shards.labels.sum(0).tolist() == [0, 0, 6, 6, 6, 0, 0, 0, 0, 0, 0, 0, 0, 5]
    assert shards.ages.tolist() == [50.0] * 22
    assert set(shards.sexes) == {"F"}
    assert set(shards.views) == {"PA"}


def test_boxes_are_fractions_of_the_image(prepared: Path) -> None:
    shards = Shards.open(prepared)
    assert shards.boxes[1] == (("Mass", 0.25, 0.25, 0.5, 0.5), ("Nodule", 0.0, 0.0, 1.0, 1.0))
    assert sum(map(len, shards.boxes)) == 2


def test_rows_of_a_split_are_whole_patients(prepared: Path) -> None:
    shards = Shards.open(prepared)
    found = {split: shards.rows(split) for split in ("train", "val", "test")}
    assert sorted(np.concatenate(list(found.values())).tolist()) == list(range(22))
    assert set(shards.patients[found["test"]]) == {4, 8}
    validation = {patient for patient in range(1, 9) if split_by_hash(patient, 0.1, has_test_list=True) == "val"}
    assert set(shards.patients[found["val"]]) == validation


def test_validation_fraction(source: Path, tmp_path: Path) -> None:
    report = prepare(source, tmp_path / "out", validation_fraction=0.5)
    chosen = {patient for patient in range(1, 9) if split_by_hash(patient, 0.5, has_test_list=True) == "val"} - {4, 8}
    assert chosen
    shards = Shards.open(tmp_path / "out")
    assert set(shards.patients[shards.rows("val")]) == chosen
    assert report.splits["val"] == len(shards.rows("val"))


def test_the_report_and_the_rejected_files(source: Path, tmp_path: Path) -> None:
    report = prepare(source, tmp_path / "out")
    assert report.rejected == 2
    assert report.absent == 0
    assert sum(report.splits.values()) == 22
    assert report.splits["test"] == 6
    assert report.images_per_second > 0
    with (tmp_path / "out" / "rejected.csv").open(newline="") as file:
        header, cut, text = csv.reader(file)
    assert header == ["image", "reason"]
    assert cut == ["00000003_001.png", "The PNG file is truncated: it ends after 200 bytes, without an IEND chunk."]
    assert text[0] == "00000007_002.png"
    assert text[1] == "The file is neither PNG nor JPEG nor DICOM."


def test_the_counts_of_the_dataset_file(source: Path, prepared: Path) -> None:
    dataset = json.loads((prepared / "dataset.json").read_text())
    assert dataset["counts"] | {"train": 0, "val": 0} == {
        "images": 22,
        "train": 0,
        "val": 0,
        "test": 6,
        "patients": 8,
        "rejected": 2,
        "absent": 0,
        "unlisted": 0,
        "boxes": 2,
        "boxes_without_image": 1,
        "unknown_ages": 0,
        "unknown_sexes": 0,
        "unknown_views": 0,
    }
    assert [shard["rows"] for shard in dataset["shards"]] == [5, 5, 5, 5, 4]
    assert not (prepared / ".progress").exists()


def test_a_clean_source_has_a_rejected_file_with_a_header_only(tmp_path: Path) -> None:
    write_nih_folder(tmp_path / "nih", patients=2)
    prepare(tmp_path / "nih", tmp_path / "out")
    assert (tmp_path / "out" / "rejected.csv").read_text() == "image,reason\n"


def test_absent_and_unlisted_images_are_counted(tmp_path: Path) -> None:
    names = write_nih_folder(tmp_path / "nih")
    for name in names[3:9]:
        (tmp_path / "nih" / "images" / name).unlink()
    (tmp_path / "nih" / "images" / "stray.png").write_bytes(b"never opened")
    report = prepare(tmp_path / "nih", tmp_path / "out")
    assert report.absent == 6
    assert report.rejected == 0
    assert Shards.open(tmp_path / "out").dataset["counts"]["unlisted"] == 1


def test_any_number_of_workers_gives_the_same_bytes(source: Path, prepared: Path, tmp_path: Path) -> None:
    prepare(source, tmp_path / "out", workers=3)
    assert contents(tmp_path / "out") == contents(prepared)


@pytest.mark.parametrize("workers", [1, 2])
def test_archives_give_the_same_bytes_as_files(source: Path, prepared: Path, tmp_path: Path, workers: int) -> None:
    pack_archives(source, tmp_path / "packed")
    prepare(tmp_path / "packed", tmp_path / "out", workers=workers)
    assert data_files(tmp_path / "out") == data_files(prepared)


def test_the_data_hash_follows_labels_and_pixels(source: Path, prepared: Path, tmp_path: Path) -> None:
    hashes = {Shards.open(prepared).data_hash}
    changed = tmp_path / "changed"
    shutil.copytree(source, changed)
    table = changed / "Data_Entry_2017_v2020.csv"
    table.write_text(table.read_text().replace(",Mass,", ",Nodule,", 1))
    hashes.add(prepare(changed, tmp_path / "labels").data_hash)
    shutil.copyfile(changed / "images" / "00000001_000.png", changed / "images" / "00000001_001.png")
    hashes.add(prepare(changed, tmp_path / "pixels").data_hash)
    assert len(hashes) == 3


def test_a_second_run_does_nothing(prepared: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in prepared.iterdir()}
    report = prepare(source, prepared, workers=2)
    assert report.images_per_second == 0
    assert report.data_hash == Shards.open(prepared).data_hash
    assert {path: path.stat().st_mtime_ns for path in prepared.iterdir()} == before
    assert "is finished already" in capsys.readouterr().err


def test_a_finished_shard_is_kept_and_a_damaged_one_made_again(source: Path, prepared: Path, tmp_path: Path) -> None:
    """A run that stopped just before dataset.json, with one shard damaged after it was finished."""
    output = tmp_path / "out"
    script = f"""
import chest_xray.data.prepare.prepare as module
from pathlib import Path
module.write_dataset = lambda *_: (_ for _ in ()).throw(SystemExit(9))
module.prepare_data(Path({str(source)!r}), Path({str(output)!r}), image_size={SIZE}, shard_bytes={FIVE_ROWS}, workers=1)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    damaged = output / "shard-00002.npy"
    pixels = bytearray(damaged.read_bytes())
    pixels[-1] ^= 1
    damaged.write_bytes(pixels)
    kept = (output / "shard-00001.npy").stat().st_ino
    prepare(source, output)
    assert contents(output) == contents(prepared)
    assert (output / "shard-00001.npy").stat().st_ino == kept


@pytest.mark.slow
@pytest.mark.real_data
def test_real_films(real_data: Path, tmp_path: Path) -> None:
    report = prepare_data(real_data / "nih-fullsize", tmp_path / "out", image_size=224, workers=2)
    assert report.splits["test"] == 8
    assert report.rejected == 0
