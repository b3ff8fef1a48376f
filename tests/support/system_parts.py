"""What tests need of the machine beyond Python's packages: how each part is found, and how it is installed.

    python -m tests.support.system_parts [NAME ...]

installs what is missing and can be had: all that some test needs, or the parts named. `make test` calls it.
CXR_INSTALL=0 forbids it. To add a part, add it to PARTS and its marker to pyproject.toml, and mark the tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.support.processes import ROOT

REQUIRE_ALL: Final = "CXR_REQUIRE_ALL"
INSTALL: Final = "CXR_INSTALL"
REAL_DATA: Final = "CXR_REAL_DATA"
INSTALL_SECONDS: Final = 900.0


class PartError(Exception):
    """A variable names what is not there, or a part cannot be installed."""


@dataclass(frozen=True, slots=True)
class Found:
    """One way to find a part: in words, and where it is, None for nowhere."""

    words: str
    look: Callable[[], Path | None]


@dataclass(frozen=True, slots=True)
class Installed:
    """One way to install a part: in words, whether this machine allows it, and the commands."""

    words: str
    possible: Callable[[], bool]
    commands: Callable[[], Sequence[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Part:
    """What a machine has or lacks.

    Attributes:
        name: for people.
        marker: of the tests that need it; several parts may share one.
        found: ways to find it, the first that succeeds.
        installed: ways to install it, in order; none for what is no program but data, which is never required.
    """

    name: str
    marker: str
    found: tuple[Found, ...]
    installed: tuple[Installed, ...] = ()

    @property
    def required(self) -> bool:
        """Whether a run that may leave nothing out fails without it."""
        return bool(self.installed)

    def find(self) -> Path | None:
        """Where it is.

        Raises:
            PartError: a variable names what is not there.
        """
        return next((path for way in self.found if (path := way.look()) is not None), None)

    @property
    def lacking(self) -> str:
        """What to do about it, one line."""
        ways = [f"Looked for it {'; '.join(way.words for way in self.found)}."]
        if self.installed:
            ways.append(f"To install it: {', or '.join(way.words for way in self.installed)}.")
        return f"{self.name} is not here. {' '.join(ways)}"


def in_variable(variable: str) -> Found:
    """A path in an environment variable; what is named there must be there."""

    def look() -> Path | None:
        named = os.environ.get(variable)
        if not named:
            return None
        if not Path(named).exists():
            raise PartError(f"{variable} is {named!r}, which does not exist. Correct it, or unset it.")
        return Path(named)

    return Found(f"in {variable}", look)


def on_path(*programs: str) -> Found:
    """The first of these programs on the path."""

    def look() -> Path | None:
        return next((Path(path) for program in programs if (path := shutil.which(program))), None)

    return Found(f"on the path as {', '.join(programs)}", look)


def _playwrights_chromium() -> Path | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    # It is there without the system's libraries that it is linked to, if nobody installed them.
    usable = path.exists() and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0
    return path if usable else None


def _locked_axe() -> Path | None:
    """axe-core in node_modules, in the version that package-lock.json names."""
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]["node_modules/axe-core"]["version"]
    package = ROOT / "node_modules" / "axe-core" / "package.json"
    there = package.exists() and json.loads(package.read_text())["version"] == locked
    return package.parent / "axe.min.js" if there else None


def debian(*packages: str) -> Installed:
    """Debian's packages, where this is Debian and we are root."""
    install = ("apt-get", "install", "--quiet=2", "--yes", "--no-install-recommends", *packages)
    return Installed(
        f"`{' '.join(('apt-get', 'install', *packages))}` as root",
        lambda: hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None,
        lambda: [("apt-get", "update", "--quiet=2"), install],
    )


def _npm_install() -> list[tuple[str, ...]]:
    """Not `npm ci`: it wants the binaries of every platform in the lock, and not every registry has them all."""
    install = ("npm", "install", "--silent", "--no-save", "--no-audit", "--no-fund")
    if shutil.which("npm"):
        return [install]
    python = ("--python", sys.executable)
    wheel = (sys.executable, "-m", "uv", "pip", "install", "--quiet", *python, "--require-hashes", "--no-deps")
    return [(*wheel, "-r", "locks/node.txt"), install]


PARTS: Final = (
    Part(
        "Chromium",
        "browser",
        (
            in_variable("CXR_CHROMIUM"),
            on_path("chromium", "chromium-browser", "google-chrome"),
            Found("where Playwright installs its own", _playwrights_chromium),
        ),
        (
            debian("chromium"),
            Installed(
                "`playwright install chromium`",
                lambda: True,
                lambda: [(sys.executable, "-m", "playwright", "install", "chromium")],
            ),
        ),
    ),
    Part(
        "axe-core",
        "node",
        (Found("in node_modules, by package-lock.json", _locked_axe),),
        (Installed("`npm install`, by Node's wheel where there is no npm", lambda: True, _npm_install),),
    ),
    Part("OpenSSL", "openssl", (on_path("openssl"),), (debian("openssl"),)),
    Part("buildah", "image", (on_path("buildah"),), (debian("buildah"),)),
    Part("debootstrap", "image", (on_path("debootstrap"),), (debian("debootstrap"),)),
    Part("A folder of real radiographs", "real_data", (in_variable(REAL_DATA),)),
)


@cache
def missing() -> tuple[Part, ...]:
    """The parts that this machine lacks.

    Raises:
        PartError: a variable names what is not there.
    """
    return tuple(part for part in PARTS if part.find() is None)


def require_all() -> bool:
    """Whether nothing may be left out."""
    return os.environ.get(REQUIRE_ALL, "0") not in {"", "0"}


def needed(part: Part) -> bool:
    """Whether some test is marked with the part's marker."""
    return any(f"mark.{part.marker}" in path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))


def install(part: Part) -> None:
    """Install a part by the first way that leads to it.

    Raises:
        PartError: none does; the message says what was tried.
    """
    if os.environ.get(INSTALL) == "0":
        raise PartError(f"{part.lacking} {INSTALL}=0 forbids to do it here.")
    tried = []
    for way in part.installed:
        if not way.possible():
            continue
        print(f"Installing {part.name}: {way.words} ...", flush=True)
        if (fault := _run(way.commands())) is None and part.find() is not None:
            return
        tried.append(f"{way.words}: {fault or 'it is still not found'}")
    raise PartError(f"{part.lacking} Tried here: {'; '.join(tried) or 'none can be done here'}.")


def _run(commands: Sequence[Sequence[str]]) -> str | None:
    """Run commands up to the first that fails; returns the last line in which it spoke of an error."""
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in commands:
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            faults = [line for line in said if "error" in line.lower()]
            return (faults or said or [f"exit code {done.returncode}"])[-1].strip()
    return None


def main(names: Sequence[str]) -> int:
    """Install what is missing; 1 where a part that was named, or is required, cannot be had."""
    # What a wheel brings stands beside this Python.
    os.environ["PATH"] = os.pathsep.join((os.environ["PATH"], str(Path(sys.executable).parent)))
    try:
        lacking = [part for part in missing() if (part.name in names if names else part.required and needed(part))]
    except PartError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    faults = []
    for part in lacking:
        try:
            install(part)
        except PartError as error:
            faults.append(str(error))
    must = bool(names) or require_all()
    for fault in faults:
        print(f"error: {fault}" if must else f"{fault} Its tests are left out.", file=sys.stderr)
    return int(must and bool(faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
