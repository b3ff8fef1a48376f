"""Compressed frames decoded in processes of their own (codec_worker.py), each within a deadline.

The processes are started on first need, at most one a processor, and kept warm: starting one takes 0.2 s, a request
to a warm one 1 ms beside the decoding. One that runs past its deadline, crashes or answers wrongly is killed; the
next image gets another.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from io import BufferedReader, BufferedWriter
from math import ceil
from typing import Final, TypeVar, cast

from chest_xray.cpus import available_cpus
from chest_xray.errors import ImageError
from chest_xray.images.dicom.codec_worker import ANSWER, READY, REQUEST, SYNTAXES

START_SECONDS: Final = 10.0
# GDCM decodes 10 to 40 megapixels a second.
_BASE_SECONDS: Final = 1.0
_PIXELS_A_SECOND: Final = 4_000_000
# How much later a worker ends itself than it is ended.
_ALARM_SECONDS: Final = 2
_Answer = TypeVar("_Answer")
_DAMAGED: Final = "The DICOM file is damaged: its compressed pixel data cannot be decoded"

_POOLS: Final[dict[int, Pool]] = {}


def decode_in_worker(stream: bytes, syntax: str, rows: int, columns: int, *, samples: int, precision: int) -> bytearray:
    """Decode one frame; returns rows x columns x samples, one byte each up to 8 bits, else two, little endian.

    `syntax` is a transfer syntax of JPEG, JPEG-LS or JPEG 2000.

    Raises:
        ImageError: the stream is damaged or takes too long, or the extra `dicom` is not installed.
    """
    size = rows * columns * samples * (1 if precision <= 8 else 2)
    seconds = _BASE_SECONDS + rows * columns * samples / _PIXELS_A_SECOND
    code = int(syntax.removeprefix(SYNTAXES))
    alarm = ceil(seconds) + _ALARM_SECONDS
    header = REQUEST.pack(code, rows, columns, samples, precision, alarm, len(stream))
    return _pool().decode(header, stream, size, seconds)


def _pool() -> Pool:
    """This process's pool. A fork has another number, and must not speak over its parent's pipes."""
    pool = _POOLS.get(os.getpid())
    if pool is None:
        pool = _POOLS.setdefault(os.getpid(), Pool(available_cpus()))
        atexit.register(pool.close)
    return pool


class Pool:
    """At most `count` workers. Safe to use from several threads, and in a fork of the process, which starts its own."""

    def __init__(self, count: int):
        self._free = threading.BoundedSemaphore(count)
        self._idle: deque[Worker] = deque()
        self._owner = os.getpid()

    def decode(self, header: bytes, stream: bytes, size: int, seconds: float) -> bytearray:
        """Have a worker answer a request with `size` bytes within `seconds`."""
        with self._free:
            worker = self._take()
            try:
                return worker.decode(header, stream, size, seconds)
            finally:
                if worker.usable:
                    self._idle.append(worker)
                else:
                    worker.end()

    def close(self) -> None:
        """End the idle workers."""
        while self._idle and os.getpid() == self._owner:
            self._idle.pop().end()

    def _take(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.usable and worker.process.poll() is None:
                return worker
            worker.end()
        return Worker()


class Worker:
    """One process. `usable` while it waits for a request; not for several threads at once.

    Raises:
        ImageError: GDCM is not installed, or the process does not start.
    """

    def __init__(self) -> None:
        if importlib.util.find_spec("gdcm") is None:
            raise ImageError(
                "This DICOM file is compressed with JPEG Lossless, JPEG-LS or JPEG 2000, which needs GDCM: "
                "pip install 'chest-xray-classifier[dicom]'."
            )
        # A session of its own: Ctrl-C in a terminal reaches the parent only, which may still finish what it began.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-m", "chest_xray.images.dicom.codec_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._requests = cast("BufferedWriter", self.process.stdin)
        self._answers = cast("BufferedReader", self.process.stdout)
        self.usable = False
        if self._within(START_SECONDS, lambda: self._answers.read(len(READY))) != READY:
            self.end()
            raise ImageError("The decoder of compressed DICOM files did not start; try again or reinstall python-gdcm.")

    def decode(self, header: bytes, stream: bytes, size: int, seconds: float) -> bytearray:
        """The answer to one request, which must have `size` bytes.

        Raises:
            ImageError: the stream is refused, too slow, or ended the process.
        """
        decoded = self._within(seconds, lambda: self._ask(header, stream, size))
        if decoded is None or not self.usable:
            raise ImageError(f"{_DAMAGED} within {seconds:.1f} s and the memory that its size allows.")
        if not decoded:
            raise ImageError(f"{_DAMAGED}.")
        return decoded

    def end(self) -> None:
        """Kill the process, close its pipes and wait for it."""
        self.usable = False
        self.process.kill()
        for pipe in (self._requests, self._answers):
            # Closing sends what is left of a request, which nobody reads any more.
            with suppress(BrokenPipeError):
                pipe.close()
        self.process.wait()

    def _within(self, seconds: float, work: Callable[[], _Answer]) -> _Answer:
        """Do `work` and kill the process if it takes longer, which ends the work at the end of the pipe."""
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self.process.kill()

        self.usable = False
        timer = threading.Timer(seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            answer = work()
        finally:
            timer.cancel()
            timer.join()
        self.usable = answer is not None and not expired.is_set()
        return answer

    def _ask(self, header: bytes, stream: bytes, size: int) -> bytearray | None:
        """The samples, nothing where the worker refuses the stream, None where it does not answer as it should."""
        try:
            self._requests.write(header)
            self._requests.write(stream)
            self._requests.flush()
            length = self._answers.read(ANSWER.size)
            found = ANSWER.unpack(length)[0] if len(length) == ANSWER.size else None
            if found not in (0, size):
                return None
            decoded = bytearray(found)
            return decoded if self._answers.readinto(decoded) == found else None
        except BrokenPipeError:
            return None
