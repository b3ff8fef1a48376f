"""`python -m chest_xray.emulator.jobs.enter_image FILE`: become the first process of a container.

It is started in mount and process namespaces of its own, and does what a container runtime does: the image's files as a
root that cannot be written, /tmp and /dev/shm in memory, /opt/ml the job's folder, and then the image's own command in
place of this process. It keeps root's capabilities and shares the machine's network: no wall against hostile images.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NoReturn

_DEVICES: Final = ("full", "null", "random", "tty", "urandom", "zero")
_STREAMS: Final = {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}
_SET_FLAGS, _UP = 0x8914, 0x1  # SIOCSIFFLAGS and IFF_UP of <linux/sockios.h> and <linux/if.h>
_NOT_FOUND: Final = 127


@dataclass(frozen=True, slots=True)
class Order:
    """What to run. Paths are of this machine, except `folder`, which is the image's.

    Attributes:
        root: the image's files.
        opt_ml: what the container finds at /opt/ml.
        folder: where it starts.
        words: its command.
        environment: all of its variables.
        isolated: it has a network namespace of its own, with nothing but its loopback.
    """

    root: str
    opt_ml: str
    folder: str
    words: list[str]
    environment: dict[str, str]
    isolated: bool

    def write(self, path: Path) -> None:
        """Keep it in a file that only this user may read: variables hold keys."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)


def enter(order: Order) -> NoReturn:
    """Replace this process by the container's."""
    root = Path(order.root)
    _mount("-t", "proc", "proc", str(root / "proc"))
    _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", str(root / "tmp"))
    _make_devices(root / "dev")
    _bind_read_only("/sys", root / "sys")
    if order.isolated:
        _raise_loopback()
    else:
        for name in ("etc/hosts", "etc/resolv.conf"):
            _bind_read_only(f"/{name}", root / name)
    _mount("--bind", order.opt_ml, str(root / "opt" / "ml"))
    _mount("-o", "remount,bind,ro", str(root))
    os.chroot(root)
    os.chdir(order.folder)
    try:
        os.execvpe(order.words[0], order.words, order.environment)  # noqa: S606 (running the image is the purpose)
    except OSError as error:
        sys.exit(_refuse(f"{order.words[0]}: {error.strerror}"))


def _make_devices(folder: Path) -> None:
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(folder))
    for name in _DEVICES:
        (folder / name).touch()
        _mount("--bind", f"/dev/{name}", str(folder / name))
    for name, end in _STREAMS.items():
        (folder / name).symlink_to(f"/proc/self/fd{end}")
    (folder / "shm").mkdir()
    _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", str(folder / "shm"))


def _bind_read_only(source: str, target: Path) -> None:
    _mount("--bind", source, str(target))
    _mount("-o", "remount,bind,ro", str(target))


def _raise_loopback() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode != 0:
        sys.exit(_refuse(done.stderr.strip()))


def _refuse(reason: str) -> int:
    sys.stderr.write(f"container: {reason}\n")
    return _NOT_FOUND


if __name__ == "__main__":
    enter(Order(**json.loads(Path(sys.argv[1]).read_bytes())))
