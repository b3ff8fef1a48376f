"""The emulator and the container images: starts, sizes, and whether killed jobs end in the same weights.

    python -m benchmarks.emulator --kills 20

A job is killed at a random moment of its training and goes on; `resume_identical` counts those whose weights equal an
undisturbed local run's to the bit. The images need root, buildah and debootstrap and are left out elsewhere; their base
stands in for the Dockerfile's (docs/deployment.md). `image_build_s` is of both, without what the cache held before
(`image_cached`). The last line is a JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
import httpx
from tests.support import built_images
from tests.support.bundles import write_bundle
from tests.support.containers import image, mounted_images, running

from benchmarks.machine import describe_machine
from chest_xray.training.run import RunFolder

RESULT = Path(__file__).parent / "results" / "emulator.json"
OPTIONS = ("--epochs=2", "--batch-size=8", "--checkpoint-steps=2", "--learning-rate=0.002")
SPOT = ("--backend=sagemaker", "--instance-type=ml.g4dn.xlarge", "--use-spot")
PORT = 18080


def main() -> None:
    """Measure and keep the result."""
    parser = argparse.ArgumentParser(description="Measure the emulator and the container images.")
    parser.add_argument("--kills", type=int, default=20, help="jobs to kill; default 20")
    parser.add_argument("--seed", type=int, default=1, help="of the moments; default 1")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        result = measure_emulator(folder, options.kills, random.Random(options.seed)) | measure_images(folder)
    result["machine"] = describe_machine()
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


def measure_emulator(folder: Path, kills: int, moments: random.Random) -> dict[str, Any]:
    """Start of the emulator, overhead of a job, and the weights of killed jobs."""
    env = os.environ | {"CXR_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1", "CXR_SAGEMAKER_POLL_SECONDS": "0.2"}
    env["CXR_SAGEMAKER_ENVIRONMENT"] = "OMP_NUM_THREADS=1"
    started = time.monotonic()
    lines = cxr(env, "emulator", "--background").stdout.splitlines()
    result: dict[str, Any] = {"emulator_start_s": round(time.monotonic() - started, 2)}
    for line in lines[:-1]:
        name, _, value = line.removeprefix("export ").partition("=")
        env[name] = shlex.split(value)[0]
    try:
        result["job_overhead_s"] = measure_overhead(env)
        result["kills"] = kills
        result["resume_identical"] = count_identical(folder, env, kills, moments)
    finally:
        cxr(env, "emulator", "stop")
    return result


def measure_overhead(env: dict[str, str]) -> float:
    """Seconds from the request to the first line that the container prints, the median of five jobs."""
    names = ("AWS_ENDPOINT_URL", "AWS_SHARED_CREDENTIALS_FILE")
    os.environ.update({name: env[name] for name in names})
    sagemaker, logs = boto3.client("sagemaker"), boto3.client("logs")
    seconds = []
    for number in range(5):
        name = f"overhead-{number}"
        asked = time.time()
        sagemaker.create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification={
                "TrainingImage": "chest-xray:train",
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["date", "+%s.%N"],
            },
            RoleArn=env["CXR_SAGEMAKER_ROLE"],
            OutputDataConfig={"S3OutputPath": f"s3://{env['CXR_SAGEMAKER_BUCKET']}/overhead"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
        sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name, WaiterConfig={"Delay": 1})
        group = "/aws/sagemaker/TrainingJobs"
        stream = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"][0]
        events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
        seconds.append(float(events[0]["message"]) - asked)
    return round(sorted(seconds)[2], 2)


def count_identical(folder: Path, env: dict[str, str], kills: int, moments: random.Random) -> int:
    """How many of `kills` jobs, each killed once at a random moment of an undisturbed run's length, end as it does."""
    shards = folder / "shards"
    cxr(env, "phantom", folder / "films", "--images", 120, "--size", 128)
    cxr(env, "prepare-data", "--source", folder / "films", "--output", shards, "--image-size", 32)
    started = time.monotonic()
    cxr(env, "train", "--data", shards, "--output", folder / "local", *OPTIONS)
    length = time.monotonic() - started
    expected = RunFolder(folder / "local").weights.read_bytes()
    identical = 0
    for number in range(kills):
        run = folder / f"killed-{number}"
        command = command_of("train", *SPOT, "--data", shards, "--output", run, "--job-name", run.name, *OPTIONS)
        process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        time.sleep(moments.uniform(0.1, 1.0) * length)
        reclaim = subprocess.run(command_of("emulator", "reclaim", run.name), env=env, capture_output=True, check=False)
        _, said = process.communicate()
        same = process.returncode == 0 and RunFolder(run).weights.read_bytes() == expected
        identical += same
        print(f"{run.name}: {'reclaimed' if reclaim.returncode == 0 else 'too early or late'}, {same}", flush=True)
        if not same:
            print(said)
    return identical


def measure_images(folder: Path) -> dict[str, Any]:
    """Sizes on disk, time to build, and from the start of `serve` to the first 200 of /ping."""
    if (reason := built_images.cannot_build()) is not None:
        print(f"No images: {reason}.")
        return {}
    cached = built_images.CACHE.is_dir()
    started = time.monotonic()
    for target in ("serve", "train"):
        built_images.build(target)
    result: dict[str, Any] = {"image_build_s": round(time.monotonic() - started, 1), "image_cached": cached}
    with mounted_images("serve", "train") as images:
        for target in ("serve", "train"):
            du = ["du", "--summarize", "--block-size=1M", str(image(images, target).root)]
            result[f"{target}_image_mb"] = int(subprocess.check_output(du, text=True).split()[0])
        write_bundle(folder / "ml" / "model")
        pings = sorted(ping_seconds(images, folder / "ml") for _ in range(5))
    return result | {"image_ping_s": round(pings[2], 2)}


def ping_seconds(images: Any, opt_ml: Path) -> float:
    """From the start of the container to the first 200."""
    started = time.monotonic()
    with running(images, "serve", "serve", opt_ml, SAGEMAKER_BIND_TO_PORT=str(PORT)) as container:
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{PORT}/ping").status_code == httpx.codes.OK:
                    seconds = time.monotonic() - started
                    container.stop()
                    return seconds
            except httpx.TransportError:
                time.sleep(0.01)


def command_of(*arguments: object) -> list[str]:
    """A `cxr` command of this installation."""
    return [sys.executable, "-m", "chest_xray.cli", *map(str, arguments)]


def cxr(env: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one to its end."""
    return subprocess.run(command_of(*arguments), env=env, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    main()
