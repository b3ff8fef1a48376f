"""Mutated image files against the API, in one process.

    python -m tests.support.fuzzing --count 100000
    python -m tests.support.fuzzing --route /v1/films --count 10000

Every answer must be 200, 413 or 422 within `LONGEST_SECONDS`, whatever was mutated. The mutations are drawn from a
seed, so that a failure can be had again: `--seed S --only NUMBER`.
"""

import argparse
import asyncio
import io
import json
import random
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from PIL import Image
from tests.support.asgi import post_scope
from tests.support.bundles import write_bundle
from tests.support.hostile import PNG_SIGNATURE, ordinary_dicom

from chest_xray.inference.api.app import create_app
from chest_xray.inference.predictor import OnnxPredictor

KINDS = ("png", "jpeg", "dicom")
ROUTES = ("/v1/predictions?explain=top", "/v1/films")
EXPECTED = frozenset((200, 413, 422))
LONGEST_SECONDS = 2.0
MOST_FAILURES = 20
SIDE = 48
_INTERESTING = (0, 1, 2, 3, 7, 8, 15, 16, 0x7F, 0x80, 0xFE, 0xFF)
_WORDS = (b"\0\0", b"\xff\xff", b"\x7f\xff", b"\x80\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0")

Mutation = Callable[[random.Random, bytearray, list[bytes]], None]


@dataclass
class Report:
    """What came back: answers by status, the slowest one, and the numbers of those that should not have been."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    failures: list[int] = field(default_factory=list)


def films(kind: str) -> list[bytes]:
    """Sound files of a kind, each of another make."""
    ramp = np.add.outer(np.arange(SIDE), 2 * np.arange(SIDE)).astype(np.uint8)
    grey = Image.fromarray(ramp)
    deep = Image.fromarray(ramp.astype(np.uint16) * 257)
    if kind == "png":
        transparent = grey.convert("RGBA")
        transparent.putalpha(128)
        return [_encoded(image, "PNG") for image in (grey, deep, grey.convert("RGB"), transparent, grey.convert("P"))]
    if kind == "jpeg":
        exif = Image.Exif()
        exif[0x0112] = 6
        return [
            _encoded(grey, "JPEG"),
            _encoded(grey, "JPEG", progressive=True),
            _encoded(grey.convert("RGB"), "JPEG", exif=exif),
            _encoded(grey.convert("CMYK"), "JPEG"),
        ]
    from tests.support.dicom_files import small_files

    return [ordinary_dicom(), *small_files()]


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def mutants(kind: str, count: int, seed: int) -> Iterator[bytes]:
    """`count` mutated files; the same ones for the same seed."""
    sound = films(kind)
    for number in range(count):
        yield mutant(kind, sound, seed, number)


def mutant(kind: str, sound: list[bytes], seed: int, number: int) -> bytes:
    """One mutated file."""
    rng = random.Random(f"{kind} {seed} {number}")
    data = bytearray(rng.choice(sound))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        rng.choice(_MUTATIONS)(rng, data, sound)
    # With its old checksums nearly every mutated PNG is refused before it reaches a decoder.
    return _with_checksums(bytes(data)) if kind == "png" and rng.random() < 0.8 else bytes(data)


def _flip(rng: random.Random, data: bytearray, sound: list[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(rng: random.Random, data: bytearray, sound: list[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice(_INTERESTING)


def _set_word(rng: random.Random, data: bytearray, sound: list[bytes]) -> None:
    word = rng.choice(_WORDS)
    at = rng.randrange(len(data) + 1)
    data[at : at + len(word)] = word


def _delete(rng: random.Random, data: bytearray, sound: list[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    del data[at : at + rng.choice((1, 2, 4, 16, 200))]


def _repeat(rng: random.Random, data: bytearray, sound: list[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = data[at : at + rng.choice((1, 4, 16, 200))] * rng.choice((1, 2, 50))


def _insert(rng: random.Random, data: bytearray, sound: list[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.choice((1, 2, 8, 64)))


def _truncate(rng: random.Random, data: bytearray, sound: list[bytes]) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _splice(rng: random.Random, data: bytearray, sound: list[bytes]) -> None:
    other = rng.choice(sound)
    at, start = rng.randrange(len(data) + 1), rng.randrange(len(other))
    part = other[start : start + rng.choice((8, 64, 500))]
    data[at : at + len(part)] = part


_MUTATIONS: tuple[Mutation, ...] = (_flip, _flip, _set, _set, _set_word, _delete, _repeat, _insert, _truncate, _splice)


def _with_checksums(data: bytes) -> bytes:
    """The same PNG with the checksum of each chunk made right, as far as its lengths lead."""
    parts, position = [data[:8]], len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        body = data[position + 4 : position + 8 + length]
        if len(body) < 4 + length:
            break
        parts += [data[position : position + 4], body, struct.pack(">I", zlib.crc32(body))]
        position += 12 + length
    return b"".join(parts) + data[position:]


def fuzz(kind: str, count: int, *, route: str = ROUTES[0], seed: int = 0, only: int | None = None) -> Report:
    """Post `count` mutants, or one of them, to the API over a tiny bundle."""
    with tempfile.TemporaryDirectory() as folder:
        predictor = OnnxPredictor.load(write_bundle(Path(folder) / "bundle").root, threads=1)
        return asyncio.run(_post_all(create_app(predictor), route, kind, count, seed, only))


async def _post_all(app: FastAPI, route: str, kind: str, count: int, seed: int, only: int | None) -> Report:
    report = Report()
    media_type = "application/dicom" if kind == "dicom" else f"image/{kind}"
    for number, data in enumerate(mutants(kind, count, seed)):
        if only is not None and number != only:
            continue
        started = time.perf_counter()
        status = await _post(app, route, data, media_type)
        seconds = time.perf_counter() - started
        report.statuses[status] += 1
        report.slowest_seconds = max(report.slowest_seconds, seconds)
        if status not in EXPECTED or seconds > LONGEST_SECONDS:
            report.failures.append(number)
            if len(report.failures) == MOST_FAILURES:
                break
    return report


async def _post(app: FastAPI, route: str, body: bytes, media_type: str) -> int:
    path, _, query = route.partition("?")
    scope = post_scope(path, {"content-type": media_type}, query=query.encode())
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        message = next(messages, None)
        if message is None:
            await asyncio.get_running_loop().create_future()  # the client waits for its answer
        return message or {}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


def main() -> None:
    """Fuzz from the command line; ends with 1 when something failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--route", choices=ROUTES, default=ROUTES[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    failed = False
    for kind in options.kinds:
        report = fuzz(kind, options.count, route=options.route, seed=options.seed, only=options.only)
        failed = failed or bool(report.failures)
        slowest = round(report.slowest_seconds, 3)
        print(
            json.dumps({"kind": kind, "statuses": report.statuses, "slowest_s": slowest, "failures": report.failures})
        )
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
