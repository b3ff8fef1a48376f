"""Archives of folders: the same bytes each time, and nothing unpacked that is no regular file below the folder."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from chest_xray.archives import pack, unpack
from chest_xray.errors import ArchiveError


def packed(*folders: Path) -> bytes:
    buffer = io.BytesIO()
    pack(folders, buffer)
    return buffer.getvalue()


def make(folder: Path, **contents: str) -> Path:
    for name, content in contents.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def archive(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as opened:
        for member in members:
            opened.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, **attributes: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info


def test_two_folders_with_the_same_files_are_the_same_bytes(tmp_path: Path) -> None:
    first = make(tmp_path / "one", model="m", deep__x="x")
    second = make(tmp_path / "two", deep__x="x", model="m")
    os.utime(second / "model", (1, 1))
    (second / "model").chmod(0o600)
    assert packed(first) == packed(second)
    (tmp_path / "a.tar.gz").write_bytes(packed(first, make(tmp_path / "three", model="other", more="n")))
    paths = unpack(tmp_path / "a.tar.gz", tmp_path / "out", must_hold="model")
    assert {str(p.relative_to(tmp_path / "out")): p.read_text() for p in paths} == {
        "deep/x": "x",
        "model": "m",
        "more": "n",
    }


def test_links_are_followed_and_never_packed(tmp_path: Path) -> None:
    folder = make(tmp_path / "one", real="r")
    (folder / "link").symlink_to(folder / "real")
    (folder / "gone").symlink_to("nowhere")
    with tarfile.open(fileobj=io.BytesIO(packed(folder))) as opened:
        assert [(item.name, item.isreg()) for item in opened] == [("link", True), ("real", True)]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (member("/etc/passwd", size=1), "leads out of the archive"),
        (member("a/../../x", size=1), "leads out of the archive"),
        (member("x", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a link or a device"),
        (member("x", type=tarfile.LNKTYPE, linkname="good"), "a link or a device"),
        (member("x", type=tarfile.FIFOTYPE), "a link or a device"),
    ],
)
def test_what_could_write_elsewhere_is_refused_whole(tmp_path: Path, bad: tarfile.TarInfo, message: str) -> None:
    path = archive(tmp_path / "a.tar.gz", member("good", size=1), bad)
    with pytest.raises(ArchiveError, match=message):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_in_a_folder_is_said_to_be_there(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", member("run", type=tarfile.DIRTYPE), member("run/model.json", size=1))
    with pytest.raises(ArchiveError, match=r"found directory run with model.json inside, expected model.json at the"):
        unpack(path, tmp_path / "out", must_hold="model.json")
    with pytest.raises(ArchiveError, match=r"holds no other.json: found run/model.json"):
        unpack(path, tmp_path / "out", must_hold="other.json")


def test_a_torn_archive_is_one_line(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", member("x", size=100_000))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ArchiveError, match=r"is no .tar.gz archive that can be read"):
        unpack(path, tmp_path / "out")
