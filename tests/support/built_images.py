"""The images of docker/Dockerfile, built for real without a daemon, on a base of this machine's own distribution.

buildah builds with chroot isolation on a minimal Debian of debootstrap that stands for the Dockerfile's base. The base
and the layers are kept in the user's cache folder, so that the next build takes seconds; what belongs to other locks or
another Dockerfile is deleted there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from filelock import FileLock
from tests.support.processes import ROOT

import chest_xray

CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "chest-xray-images"
BASE = "docker.io/library/python:3.11-slim-bookworm"
REVISION = "0123456789abcdef0123456789abcdef01234567"
_DEBOOTSTRAP = ("--variant=minbase", "--include=ca-certificates,passwd,python3,python3-venv", "bookworm")
_DOCKERFILE = ROOT / "docker" / "Dockerfile"


def cannot_build() -> str | None:
    """Why images cannot be built here, if so."""
    if os.geteuid() != 0:
        return "only root can build and run images without a daemon"
    missing = [name for name in ("buildah", "debootstrap", "unshare") if shutil.which(name) is None]
    return f"{missing[0]} is not installed" if missing else None


def reference(target: str) -> str:
    return f"localhost/chest-xray:{target}"


@cache
def storage_variables() -> dict[str, str]:
    """What makes buildah use the storage of these tests."""
    return {"CONTAINERS_STORAGE_CONF": str(_folder() / "storage.conf")}


def buildah(*arguments: object) -> str:
    """Run buildah in that storage; returns what it prints."""
    return _run("buildah", *map(str, arguments)).strip()


@cache
def build(target: str) -> str:
    """Build a target of the Dockerfile; returns its reference."""
    with FileLock(CACHE / "lock"):
        _make_storage()
        stamp, sources = _folder() / f"built-{target}", _digest([*(ROOT / "src").rglob("*"), ROOT / "pyproject.toml"])
        if stamp.is_file() and stamp.read_text() == sources and buildah("images", "--quiet", reference(target)):
            return reference(target)
        if not buildah("images", "--quiet", "--filter", f"reference={BASE}"):
            _make_base()
        options = ["--isolation", "chroot", "--pull-never", "--layers", "--quiet"]
        given = {"VERSION": chest_xray.__version__, "REVISION": REVISION} | _pip_arguments(options)
        options += [f"--build-arg={name}={value}" for name, value in given.items()]
        buildah("bud", *options, "--target", target, "--tag", reference(target), "--file", _DOCKERFILE, ROOT)
        stamp.write_text(sources)
    return reference(target)


def _pip_arguments(options: list[str]) -> dict[str, str]:
    """Where this machine's pip finds its packages, as build arguments; what lies on the disk is lent to the build."""
    given = {name: os.environ[name] for name in ("PIP_CERT", "PIP_INDEX_URL", "PIP_FIND_LINKS") if name in os.environ}
    options += [f"--volume={value}:{value}:ro" for value in given.values() if Path(value).is_absolute()]
    return given


def _folder() -> Path:
    return CACHE / f"storage-{_digest([_DOCKERFILE, *(ROOT / 'locks').glob('*.txt')])}"


def _digest(paths: Iterable[Path]) -> str:
    """Of the files' contents, without what Python compiled."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _make_storage() -> None:
    folder = _folder()
    if folder.is_dir():
        return
    for old in CACHE.glob("storage-*"):
        _run("buildah", "rm", "--all", CONTAINERS_STORAGE_CONF=str(old / "storage.conf"))
        shutil.rmtree(old)
    folder.mkdir(parents=True)
    lines = ("[storage]", 'driver = "overlay"', f'graphroot = "{folder}/root"', f'runroot = "{folder}/run"')
    (folder / "storage.conf").write_text("\n".join(lines) + "\n")


def _make_base() -> None:
    archive = CACHE / "base.tar"
    if not archive.is_file():
        rootfs = CACHE / "rootfs"
        shutil.rmtree(rootfs, ignore_errors=True)
        _run("debootstrap", *_DEBOOTSTRAP, str(rootfs))
        for debris in [*rootfs.glob("var/cache/apt/archives/*.deb"), *rootfs.glob("var/lib/apt/lists/*_*")]:
            debris.unlink()
        _run("tar", "-C", str(rootfs), "-cf", str(archive.with_suffix(".part")), ".")
        archive.with_suffix(".part").rename(archive)
        shutil.rmtree(rootfs)
    recipe = CACHE / "Dockerfile"
    recipe.write_text("FROM scratch\nADD base.tar /\n")
    buildah("bud", "--isolation=chroot", "--quiet", "--layers=false", "--tag", BASE, "--file", recipe, CACHE)


def _run(*command: str, **variables: str) -> str:
    done = subprocess.run(
        command, env=os.environ | storage_variables() | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-4000:]}"
    return done.stdout
