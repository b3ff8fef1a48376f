"""prepare-data and the shards it writes: the right values, the same bytes on every way, and nothing half-written."""

import csv
import json
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.nih_folders import BOX_HEADER, film, pack_archives, row, write_csv, write_nih_folder

from chest_xray import lock
from chest_xray.data.index import encode_index, read_index
from chest_xray.data.prepare.prepare import PrepareReport, prepare_data
from chest_xray.data.shards import Shards
from chest_xray.data.split import split_by_hash
from chest_xray.errors import DataError, SettingsError
from chest_xray.findings import FINDINGS
from chest_xray.images.preprocess import preprocess
from chest_xray.lock import only_one

SIZE = 32
FIVE_ROWS = 5 * SIZE * SIZE
SHARD = 20 * 64 * 64


def prepare(source: Path, output: Path, workers: int = 1, **options: float) -> PrepareReport:
    """Small images in shards of five rows."""
    return prepare_data(source, output, **{"image_size": SIZE, "shard_bytes": FIVE_ROWS, "workers": workers} | options)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def data_files(folder: Path) -> dict[str, bytes]:
    """Everything but the note on the source, which says folder or archives."""
    return {name: content for name, content in contents(folder).items() if name != "prepare.json"}


def refusal(function: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        function()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def prepared(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("prepared") / "dataset"
    prepare(source, output)
    return output


# ---- values


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


# ---- the same bytes on every way


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


# ---- interrupted


@pytest.fixture(scope="module")
def long_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """800 names for 24 larger films: a few seconds of work."""
    folder = tmp_path_factory.mktemp("long") / "source"
    names = [f"{number:08d}_000.png" for number in range(800)]
    write_csv(folder, [row(name, patient=int(name[:8])) for name in names])
    films = tmp_path_factory.mktemp("films")
    write_nih_folder(films / "nih")
    (folder / "images").mkdir()
    from PIL import Image

    for number, name in enumerate(names):
        path = folder / "images" / name
        if number < 24:
            Image.fromarray(film(number, 400, 400)).save(path)
        else:
            path.hardlink_to(folder / "images" / names[number % 24])
    return folder


@pytest.fixture(scope="module")
def long_prepared(long_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("long-prepared") / "dataset"
    prepare_data(long_source, output, image_size=64, workers=1, shard_bytes=SHARD)
    return output


def run_script(source: Path, output: Path, before: str = "") -> list[str]:
    script = (
        f"{before}\nfrom pathlib import Path\nfrom chest_xray.errors import ChestXrayError\n"
        "from chest_xray.data.prepare.prepare import prepare_data\n"
        f"paths = Path({str(source)!r}), Path({str(output)!r})\n"
        f"try:\n    prepare_data(*paths, image_size=64, workers=2, shard_bytes={SHARD})\n"
        "except ChestXrayError as error:\n    raise SystemExit(f'REFUSED {error}')\n"
    )
    return [sys.executable, "-c", script]


def children_of(process: subprocess.Popen[bytes]) -> list[Path]:
    listing = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [Path(f"/proc/{child}") for child in listing.read_text().split()] if listing.is_file() else []


def is_running(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    long_source: Path, long_prepared: Path, tmp_path: Path, how: signal.Signals
) -> None:
    output = tmp_path / "out"
    with subprocess.Popen(run_script(long_source, output), stderr=subprocess.PIPE) as process:
        wait_until(lambda: len(list(output.glob("shard-*.npy"))) >= 3)
        workers = children_of(process)
        process.send_signal(how)
        process.wait(timeout=20)
    assert process.returncode == -how
    wait_until(lambda: not any(map(is_running, workers)))
    finished = {path.name: path.stat().st_ino for path in output.glob("shard-*.npy")}
    assert 3 <= len(finished) < 40
    assert "run prepare-data on it until it says that it has finished" in refusal(lambda: Shards.open(output))

    subprocess.run(run_script(long_source, output), check=True, capture_output=True)
    assert contents(output) == contents(long_prepared)
    kept = sum((output / name).stat().st_ino == inode for name, inode in finished.items())
    assert kept >= len(finished) - 2  # a shard without its record yet is made again


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    long_source: Path, long_prepared: Path, tmp_path: Path
) -> None:
    """The system refuses files over 60 kB, as a full disk would; the rest of the run meets a disk with room."""
    output = tmp_path / "out"
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))"
    refused = subprocess.run(run_script(long_source, output, limit), check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == (
        f"REFUSED The disk of {output} is full: make room and run the same command again; finished shards are kept."
    )
    assert sorted(path.name for path in output.iterdir()) == [".progress", "prepare.json", "prepare.lock"]
    assert list((output / ".progress").iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    prepare_data(long_source, output, image_size=64, workers=2, shard_bytes=SHARD)
    assert contents(output) == contents(long_prepared)


@pytest.mark.parametrize("how", ["kill", "full disk"])
def test_a_run_that_ends_at_its_first_write_is_run_again(
    source: Path, prepared: Path, tmp_path: Path, how: str
) -> None:
    output = tmp_path / "out"
    script = f"""
import os, resource, signal, sys
from pathlib import Path
import numpy, pyarrow
from chest_xray.errors import DataError
from chest_xray.data.prepare.prepare import prepare_data
if {how!r} == "kill":
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
else:
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
try:
    prepare_data(Path({str(source)!r}), Path({str(output)!r}), image_size={SIZE}, shard_bytes={FIVE_ROWS}, workers=1)
except DataError as error:
    os.write(1, b"REFUSED " + str(error).encode())
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False, stdout=subprocess.PIPE)
    if how == "kill":
        assert ended.returncode == -signal.SIGKILL
        left = [".progress", "prepare.json.part", "prepare.lock"]
    else:
        assert ended.stdout.decode().startswith(f"REFUSED The disk of {output} is full: make room")
        left = [".progress", "prepare.lock"]
    assert sorted(path.name for path in output.iterdir()) == left
    prepare(source, output)
    assert contents(output) == contents(prepared)
    assert not (output / ".progress").exists()


def test_one_prepare_data_at_a_time(
    source: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.05)
    output = tmp_path / "out"
    with only_one(output / "prepare.lock", DataError("busy")):
        assert refusal(lambda: prepare(source, output)) == (
            f"Another prepare-data writes to {output}: run this again when it is done."
        )
        assert [path.name for path in output.iterdir()] == ["prepare.lock"]
        # A finished folder is answered without the lock.
        shutil.copytree(prepared, output, dirs_exist_ok=True)
        assert prepare(source, output).images_per_second == 0


# ---- refusals


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


# ---- reading shards


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.integers(0, 21), max_size=40))
def test_read_gives_the_rows_in_the_order_asked_for(prepared: Path, rows: list[int]) -> None:
    shards = Shards.open(prepared)
    index = read_index(prepared / "index.parquet")
    places = [(index["shard"][row].as_py(), index["row"][row].as_py()) for row in rows]
    expected = [np.load(prepared / f"shard-{shard:05d}.npy")[place] for shard, place in places]
    np.testing.assert_array_equal(shards.read(np.array(rows, np.int64)), np.reshape(expected, (-1, SIZE, SIZE)))


def test_shards_travel_to_another_process_as_a_path(prepared: Path) -> None:
    shards = Shards.open(prepared)
    pickled = pickle.dumps(shards)
    assert len(pickled) < 1000
    np.testing.assert_array_equal(pickle.loads(pickled).read([3, 1]), shards.read([3, 1]))


def test_verify_finds_a_changed_pixel_and_a_changed_label(prepared: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    Shards.open(copy).verify()
    path = copy / "shard-00001.npy"
    intact = path.read_bytes()
    path.write_bytes(intact[:-1] + bytes([intact[-1] ^ 1]))
    assert "shard-00001.npy has changed since prepare-data" in refusal(Shards.open(copy).verify)
    path.write_bytes(intact)
    columns = read_index(copy / "index.parquet").to_pydict()
    columns["Hernia"][0] = 1
    (copy / "index.parquet").write_bytes(encode_index(columns))
    assert "index.parquet has changed since prepare-data" in refusal(Shards.open(copy).verify)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "dataset.json").unlink(), "has no dataset.json: run prepare-data on it"),
        (lambda folder: (folder / "dataset.json").write_text("{"), "dataset.json is not JSON"),
        (lambda folder: (folder / "dataset.json").write_text('{"version": 7}'), "format version 7, expected 1"),
        (lambda folder: (folder / "shard-00003.npy").unlink(), "shard-00003.npy cannot be read"),
        (lambda folder: (folder / "shard-00003.npy").write_bytes(b"\x93NUMPY"), "shard-00003.npy cannot be read"),
        (lambda folder: shutil.copy(folder / "shard-00004.npy", folder / "shard-00000.npy"), "(4, 32, 32), expected"),
        (lambda folder: (folder / "index.parquet").write_bytes(b"PAR1"), "index.parquet cannot be read"),
        (lambda folder: (folder / "index.parquet").unlink(), "index.parquet cannot be read"),
    ],
    ids=["no dataset", "no json", "version", "no shard", "cut shard", "other shard", "no parquet", "no index"],
)
def test_open_refuses_an_incomplete_folder(
    prepared: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    damage(copy)
    assert message in refusal(lambda: Shards.open(copy))


@pytest.mark.slow
@pytest.mark.real_data
def test_real_films(real_data: Path, tmp_path: Path) -> None:
    report = prepare_data(real_data / "nih-fullsize", tmp_path / "out", image_size=224, workers=2)
    assert report.splits["test"] == 8
    assert report.rejected == 0
    Shards.open(tmp_path / "out").verify()
