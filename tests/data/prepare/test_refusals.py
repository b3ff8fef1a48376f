"""What prepare-data refuses, in one line and before it writes."""

import shutil
from pathlib import Path

import pytest
from tests.support.nih_folders import pack_archives, row, write_csv, write_nih_folder
from tests.support.preparing import contents, prepare, refusal

from chest_xray.errors import SettingsError


def test_an_output_of_other_options_or_another_source(source: Path, prepared: Path, tmp_path: Path) -> None:
    before = contents(prepared)
    assert "(image_size 32 there, 48 here)" in refusal(lambda: prepare(source, prepared, image_size=48))
    assert "validation_fraction 0.1 there, 0.2 here" in refusal(
        lambda: prepare(source, prepared, validation_fraction=0.2)
    )
    write_nih_folder(tmp_path / "other", patients=3)
    assert "source_sha256" in refusal(lambda: prepare(tmp_path / "other", prepared))
    assert contents(prepared) == before


def test_an_output_that_belongs_to_something_else(source: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert "is not empty and not of prepare-data" in refusal(lambda: prepare(source, tmp_path))
    assert "is a file" in refusal(lambda: prepare(source, tmp_path / "notes.txt"))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["thesis.part", ".progress/shard-00000.npy.json"])
def test_only_the_first_traces_of_a_run_count_as_nothing(source: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    assert "is not empty and not of prepare-data" in refusal(lambda: prepare(source, tmp_path))
    assert contents(tmp_path) == {name: b"mine"}


def test_a_damaged_note_on_the_source(source: Path, prepared: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    (copy / "prepare.json").write_text("[1]")
    assert "prepare.json is not what prepare-data wrote" in refusal(lambda: prepare(source, copy))


def test_an_archive_that_is_a_web_page(source: Path, tmp_path: Path) -> None:
    pack_archives(source, tmp_path / "packed")
    (tmp_path / "packed" / "images_001.tar.gz").write_text("<!DOCTYPE html>")
    assert "images_001.tar.gz is damaged" in refusal(lambda: prepare(tmp_path / "packed", tmp_path / "out"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 31}, "image_size is 31; expected 32 to 1024"),
        ({"workers": 0}, "workers is 0"),
        ({"validation_fraction": 0.6}, "validation_fraction is 0.6; expected 0 to 0.5"),
    ],
)
def test_options_out_of_range(source: Path, tmp_path: Path, options: dict[str, float], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        prepare(source, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_bad_source_leaves_no_output(tmp_path: Path) -> None:
    write_csv(tmp_path / "nih", [row("a.png", "Mass|Cough")])
    assert "holds no images" in refusal(lambda: prepare(tmp_path / "nih", tmp_path / "out"))
    (tmp_path / "nih" / "images").mkdir()
    (tmp_path / "nih" / "images" / "a.png").write_bytes(b"x")
    assert "unknown label 'Cough'" in refusal(lambda: prepare(tmp_path / "nih", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_no_image_of_the_csv_is_there(tmp_path: Path) -> None:
    write_csv(tmp_path / "nih", [row("a.png"), row("b.png")])
    (tmp_path / "nih" / "images").mkdir()
    (tmp_path / "nih" / "images" / "c.png").write_bytes(b"x")
    assert "None of the 2 images of the CSV is there" in refusal(lambda: prepare(tmp_path / "nih", tmp_path / "out"))


def test_every_image_is_rejected(tmp_path: Path) -> None:
    write_csv(tmp_path / "nih", [row("a.png")])
    (tmp_path / "nih" / "images").mkdir()
    (tmp_path / "nih" / "images" / "a.png").write_bytes(b"")
    message = refusal(lambda: prepare(tmp_path / "nih", tmp_path / "out"))
    assert message == "All 1 images were rejected; the first is a.png: The image file is empty (0 bytes)."
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_a_cut_off_archive(source: Path, tmp_path: Path) -> None:
    pack_archives(source, tmp_path / "packed")
    archive = tmp_path / "packed" / "images_002.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-3000])
    message = refusal(lambda: prepare(tmp_path / "packed", tmp_path / "out", workers=2))
    assert message.startswith(f"{archive} is damaged")
    assert list((tmp_path / "out").glob("shard-*")) == []


def test_an_image_in_two_archives(source: Path, tmp_path: Path) -> None:
    pack_archives(source, tmp_path / "packed")
    shutil.copyfile(tmp_path / "packed" / "images_001.tar.gz", tmp_path / "packed" / "images_004.tar.gz")
    assert "is there twice, in" in refusal(lambda: prepare(tmp_path / "packed", tmp_path / "out"))
