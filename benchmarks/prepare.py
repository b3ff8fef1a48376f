"""How much of the machine's decoding power prepare-data turns into shards.

    CXR_REAL_DATA=... python -m benchmarks.prepare [--source NIH_FOLDER] [--workers N]

The measure is `decode_efficiency` = images/s of a complete prepare-data run / (workers x images/s of a bare loop of
Pillow decode and resize in one process, on the same files). A complete run is everything but the start of this
interpreter: reading the tables, starting the workers, decoding, hashing, fsync, index. The source is the 26 full-size
NIH files of CXR_REAL_DATA, linked many times under new names, or phantoms when that is not set. Runs alternate with
bare loops; medians are reported.

`bare_concurrent_images_per_second` is the same bare loop in as many processes at once as there are workers: what it
loses against workers x bare is the machine's own contention, which no program on it can win back.
"""

import argparse
import io
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.machine import describe_machine
from chest_xray.cpus import available_cpus
from chest_xray.data.prepare.prepare import prepare_data

RESULT = Path(__file__).parent / "results" / "prepare.json"
BARE_IMAGES = 260


def main() -> None:
    """Measure, print the result as the last line and keep it in benchmarks/results/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, help="an unpacked NIH-format folder, used as it is")
    parser.add_argument("--workers", type=int, default=available_cpus())
    parser.add_argument("--images", type=int, default=3120, help="images of the folder that is made")
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cxr-prepare-") as scratch:
        source, kind = _source(arguments.source, Path(scratch), arguments.images)
        result = measure(source, Path(scratch), arguments.workers, arguments.image_size, arguments.runs)
    result |= {"source": kind, "machine": describe_machine(("numpy", "pillow", "pyarrow"))}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


def measure(source: Path, scratch: Path, workers: int, image_size: int, runs: int) -> dict[str, Any]:
    """Alternate bare loops and complete runs; rates in images/s."""
    every = sorted(str(path) for path in source.glob("images*/**/*.png"))
    files = (every * (BARE_IMAGES // len(every) + 1))[:BARE_IMAGES]
    bare, concurrent, complete = [], [], []
    for run in range(runs):
        bare.append(bare_rate(files, image_size, 1))
        started = time.perf_counter()
        report = prepare_data(source, scratch / f"run-{run}", image_size=image_size, workers=workers)
        complete.append(sum(report.splits.values()) / (time.perf_counter() - started))
        shutil.rmtree(report.output)
        concurrent.append(bare_rate(files, image_size, workers))
        print(f"run {run + 1}: bare {bare[-1]:.1f}, prepare-data {complete[-1]:.1f} images/s", file=sys.stderr)
    return {
        "decode_efficiency": round(statistics.median(complete) / (workers * statistics.median(bare)), 3),
        "images_per_second": round(statistics.median(complete), 1),
        "bare_images_per_second": round(statistics.median(bare), 1),
        "bare_concurrent_images_per_second": round(statistics.median(concurrent), 1),
        "workers": workers,
        "images": len(every),
        "image_size": image_size,
        "runs": {
            "bare": [round(rate, 1) for rate in bare],
            "bare_concurrent": [round(rate, 1) for rate in concurrent],
            "prepare_data": [round(rate, 1) for rate in complete],
        },
    }


def bare_rate(files: list[str], image_size: int, processes: int) -> float:
    """Images/s of bare loops in fresh processes: the sum over processes that run at the same time."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    rates = context.SimpleQueue()
    children = [context.Process(target=_bare_loop, args=(files, image_size, barrier, rates)) for _ in range(processes)]
    for child in children:
        child.start()
    total = sum(rates.get() for _ in children)
    for child in children:
        child.join()
    return float(total)


def _bare_loop(files: list[str], image_size: int, barrier: Any, rates: Any) -> None:
    for path in files[:10]:
        _bare(path, image_size)
    barrier.wait()
    started = time.perf_counter()
    for path in files:
        _bare(path, image_size)
    rates.put(len(files) / (time.perf_counter() - started))


def _bare(path: str, image_size: int) -> Any:
    image = Image.open(io.BytesIO(Path(path).read_bytes()), formats=("PNG",))
    grey = image if image.mode == "L" else image.convert("L")
    return np.asarray(grey.resize((image_size, image_size), Image.Resampling.BILINEAR))


def _source(given: Path | None, scratch: Path, images: int) -> tuple[Path, str]:
    if given is not None:
        return given, "given folder"
    real = os.environ.get("CXR_REAL_DATA")
    if real:
        files = sorted((Path(real) / "nih-fullsize" / "images").glob("*.png"))
        return _linked_folder(files, scratch / "source", images), f"{len(files)} NIH files of 1024x1024, repeated"
    from chest_xray.data.phantom import write_phantom

    write_phantom(scratch / "phantom", images=26, size=1024, seed=0, workers=None)
    files = sorted((scratch / "phantom" / "images").glob("*.png"))
    return _linked_folder(files, scratch / "source", images), "26 phantoms of 1024x1024, repeated"


def _linked_folder(files: list[Path], folder: Path, images: int) -> Path:
    """An NIH folder of `images` names that are hard links to `files`, or copies where links cannot be made."""
    (folder / "images").mkdir(parents=True)
    lines = ["Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"]
    for number in range(images):
        name = f"{number:08d}_000.png"
        lines.append(f"{name},No Finding,0,{number},50,F,PA")
        _link(files[number % len(files)], folder / "images" / name)
    (folder / "Data_Entry_2017_v2020.csv").write_text("\n".join(lines) + "\n")
    return folder


def _link(target: Path, link: Path) -> None:
    try:
        link.hardlink_to(target)
    except OSError:
        shutil.copyfile(target, link)


if __name__ == "__main__":
    main()
