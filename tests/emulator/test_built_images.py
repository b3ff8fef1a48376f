"""`--image NAME=buildah:REFERENCE`, as far as nothing is built. tests/docker runs real images."""

import os
from pathlib import Path

import pytest

from chest_xray.emulator import built_image
from chest_xray.emulator.built_image import BuiltImage
from chest_xray.emulator.runtime import Images
from chest_xray.errors import EmulatorError


@pytest.mark.parametrize("option", ["", "name", "name=", "=command", "name=buildah:", "name=buildah: "])
def test_an_option_that_names_no_image_is_refused(option: str) -> None:
    with pytest.raises(EmulatorError, match=r"expected NAME=COMMAND, .* or NAME=buildah:REFERENCE"):
        Images.read([option])


def test_a_command_is_found_by_the_repository_s_name() -> None:
    images = Images.read(["shell=sh -c 'echo a b'"])
    for name in ("shell", "shell:1", "shell@sha256:0", "registry.example:5000/team/shell:1"):
        assert images.command(name, ["train"]) == ("sh", "-c", "echo a b", "train")
        assert images.holds(name)
    assert not images.holds("other")


def test_without_buildah_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EmulatorError, match=r"^Running localhost/a:1 needs buildah, which is not installed here\.$"):
        BuiltImage.open("localhost/a:1")


def test_it_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built_image.shutil, "which", lambda name: name)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EmulatorError, match="needs root, for chroot and mount"):
        BuiltImage.open("localhost/a:1")


def test_what_replaces_the_entry_replaces_all_of_it() -> None:
    image = BuiltImage(Path("/"), "c", ("entry", "-m"), ("serve",), {}, "/")
    assert image.words(["train"]) == ["entry", "-m", "train"]
    assert image.words(["x"], ["other"]) == ["other", "x"]
    with pytest.raises(EmulatorError, match="no ENTRYPOINT"):
        BuiltImage(Path("/"), "c", (), (), {}, "/").words([])
