"""Preparing on several machines: the same bytes as on one, however the films are dealt out."""

import json
import shutil
from pathlib import Path

import pytest
from tests.support.nih_folders import pack_archives, write_nih_folder

from chest_xray.data.nih import TABLE_FILES
from chest_xray.data.prepare.container import run_container
from chest_xray.data.prepare.prepare import prepare_data
from chest_xray.data.shards import Shards

OPTIONS = {"image_size": 32, "validation_fraction": 0.1, "shard_bytes": 5 * 32 * 32}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "nih"
    write_nih_folder(folder)
    (folder / "images" / "00000002_000.png").write_bytes(b"no image")
    (folder / "images" / "unlisted.png").write_bytes(b"not in the CSV")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lay_out(root: Path, source: Path, host: str, films: list[Path]) -> None:
    """What SageMaker gives one host."""
    given = root / "processing" / "input"
    (given / "tables").mkdir(parents=True)
    for name in TABLE_FILES:
        if (source / name).is_file():
            shutil.copy(source / name, given / "tables")
    listed = {path.relative_to(source).as_posix(): path.stat().st_size for path in source.rglob("*") if path.is_file()}
    (given / "listing").mkdir()
    (given / "listing" / "films.json").write_text(json.dumps(listed))
    for film in films:
        to = given / "films" / film.relative_to(source)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(film, to)
    (root / "config").mkdir()
    (root / "config" / "resourceconfig.json").write_text(json.dumps({"current_host": host, "hosts": [host]}))


def prepare_in_parts(tmp_path: Path, source: Path, hosts: int) -> Path:
    films = sorted(path for path in source.rglob("*") if path.is_file() and path.name not in TABLE_FILES)
    parts = tmp_path / "assembler" / "processing" / "input" / "parts"
    for number in range(hosts):
        root = tmp_path / f"algo-{number}"
        lay_out(root, source, f"algo-{number}", films[number::hosts])
        assert run_container(root, "decode", **OPTIONS) == 0
        shutil.copytree(root / "processing" / "output", parts, dirs_exist_ok=True)
    lay_out(tmp_path / "assembler", source, "algo-1", [])
    assert run_container(tmp_path / "assembler", "assemble", **OPTIONS) == 0
    return tmp_path / "assembler" / "processing" / "output"


@pytest.mark.parametrize("hosts", [1, 3])
@pytest.mark.parametrize("packed", [False, True], ids=["files", "archives"])
def test_parts_of_several_machines_become_the_bytes_of_one(
    tmp_path: Path, source: Path, hosts: int, packed: bool
) -> None:
    if packed:
        pack_archives(source, tmp_path / "packed", parts=4)
        source = tmp_path / "packed"
    prepare_data(source, tmp_path / "here", workers=1, **OPTIONS)
    output = prepare_in_parts(tmp_path, source, hosts)
    assert contents(output) == contents(tmp_path / "here")
    assert Shards.open(output).dataset["counts"]["rejected"] == 1
    assert prepare_data(source, output, workers=1, **OPTIONS).images_per_second == 0  # nothing was left to do


def test_one_machine_does_both_steps(tmp_path: Path, source: Path) -> None:
    prepare_data(source, tmp_path / "here", workers=1, **OPTIONS)
    films = list((source / "images").iterdir())
    lay_out(tmp_path / "alone", source, "algo-1", films)
    assert run_container(tmp_path / "alone", "all", **OPTIONS) == 0
    assert contents(tmp_path / "alone" / "processing" / "output") == contents(tmp_path / "here")


def test_a_damaged_part_is_refused_and_the_job_says_why(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "alone"
    lay_out(root, source, "algo-1", list((source / "images").iterdir()))
    assert run_container(root, "decode", **OPTIONS) == 0
    parts = root / "processing" / "input" / "parts"
    shutil.copytree(root / "processing" / "output", parts)
    part = min(parts.glob("*.npy"))
    part.write_bytes(part.read_bytes()[:-1] + b"\xff")
    shutil.rmtree(root / "processing" / "output")
    assert run_container(root, "assemble", **OPTIONS) == 1
    message = (root / "output" / "message").read_text()
    assert message == f"{part} is not what was written: prepare the source again."
    assert message in capsys.readouterr().err
    assert not (root / "processing" / "output" / "dataset.json").exists()


def test_a_host_without_films_has_nothing_to_do(tmp_path: Path, source: Path) -> None:
    lay_out(tmp_path / "idle", source, "algo-9", [])
    assert run_container(tmp_path / "idle", "decode", **OPTIONS) == 0
    assert not (tmp_path / "idle" / "processing" / "output").exists()
