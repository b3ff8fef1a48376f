"""`cxr prepare-data --backend sagemaker` on the emulator: the bytes of preparing here, whatever happens on the way."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.emulators import client, ended_processing, shared_emulator, variables
from tests.support.nih_folders import write_nih_folder
from tests.support.processes import run_cxr

from chest_xray.backends.sagemaker.experiments import make_experiment
from chest_xray.backends.sagemaker.processing.preparer import Preparer
from chest_xray.data.prepare.prepare import prepare_data
from chest_xray.errors import DataError, JobStoppedError, SettingsError
from chest_xray.locations import S3Prefix
from chest_xray.settings import load_processing_settings

SHARD_BYTES = 7 * 32 * 32


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "nih"
    write_nih_folder(folder, patients=24, films=2)
    (folder / "images" / "00000002_000.png").write_bytes(b"no image")
    return folder


def put(films: Path, prefix: str) -> S3Prefix:
    bucket = shared_emulator().bucket
    for path in films.rglob("*"):
        if path.is_file():
            client("s3").upload_file(str(path), bucket, f"{prefix}/{path.relative_to(films).as_posix()}")
    return S3Prefix(bucket, prefix)


def objects(place: S3Prefix) -> dict[str, bytes]:
    s3 = client("s3")
    listed = s3.list_objects_v2(Bucket=place.bucket, Prefix=place.below).get("Contents", [])
    return {
        item["Key"].removeprefix(place.below): s3.get_object(Bucket=place.bucket, Key=item["Key"])["Body"].read()
        for item in listed
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def preparer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in variables(tmp_path / "home").items():
        monkeypatch.setenv(name, value)

    def make(count: int = 1, **options: str) -> Preparer:
        given = {"instance_count": str(count), "poll_seconds": "0.1"} | options
        return Preparer(load_processing_settings(given), shard_bytes=SHARD_BYTES)

    return make


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shards_are_those_of_preparing_here(films: Path, tmp_path: Path, preparer: Any, count: int) -> None:
    source, output = put(films, f"nih-{count}"), S3Prefix(shared_emulator().bucket, f"prepared/{count}")
    report = preparer(count).prepare(source, output, image_size=32)
    here = prepare_data(films, tmp_path / "here", image_size=32, workers=1, shard_bytes=SHARD_BYTES)
    assert objects(output) == contents(tmp_path / "here")
    assert (report.splits, report.rejected, report.data_hash) == (here.splits, 1, here.data_hash)
    jobs = client("sagemaker").list_processing_jobs(NameContains=f"prepared-{count}-")["ProcessingJobSummaries"]
    assert len(jobs) == (1 if count == 1 else 2)

    again = preparer(count).prepare(source, output, image_size=32)
    assert (again.data_hash, again.images_per_second) == (here.data_hash, 0)
    with pytest.raises(DataError, match="image_size 32 there, 48 here"):
        preparer(count).prepare(source, output, image_size=48)


def test_the_command_prepares_and_training_reads_the_prefix(films: Path, tmp_path: Path) -> None:
    source = put(films, "command/nih")
    output = S3Prefix(source.bucket, "command/shards")
    home = tmp_path / "home"
    env = variables(home)
    job = ("--backend", "sagemaker", "--poll-seconds", "0.1")
    places = ("--source", source, "--output", output)
    done = run_cxr(
        "prepare-data", *job, *places, "--instance-count", "2", "--image-size", "32", home=home, env=env
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{output}: 31 train, 4 val, 12 test; 1 rejected (see {output}/rejected.csv), 0 absent." in done.stderr
    run = tmp_path / "run"
    options = ("--epochs", "1", "--batch-size", "8", "--learning-rate", "0.002")
    done = run_cxr("train", *job, "--data", output, "--output", run, *options, home=home, env=env)
    assert done.returncode == 0, done.stderr
    assert "Uploading shards" not in done.stderr
    trained = json.loads((run / "model" / "training.json").read_text())
    assert trained["data_hash"] == json.loads(objects(output)["dataset.json"])["data_hash"]
    done = run_cxr("evaluate", "--run", run, "--data", output, "--rounds", "100", home=home, env=env)
    assert done.returncode == 0, done.stderr
    copies = list((home / "data").glob("*/dataset.json"))
    assert [contents(path.parent).keys() - {"rejected.csv"} for path in copies] == [
        objects(output).keys() - {"rejected.csv", "prepare.json"}
    ]
    refused = run_cxr("train", "--data", output, "--output", tmp_path / "other", home=home, env=env)
    assert refused.returncode == 2
    assert "add --backend sagemaker" in refused.stderr


def test_a_job_that_was_begun_is_followed_and_one_that_failed_is_tried_again(films: Path, preparer: Any) -> None:
    source = put(films, "again/nih")
    output = S3Prefix(source.bucket, "again/shards")
    first = preparer()
    *_, planned = first.plan(source, output, image_size=32)
    name = planned["request"]["ProcessingJobName"]
    # As a kill between two calls leaves it: the job is there, its inputs are not.
    make_experiment(first._aws)
    client("sagemaker").create_processing_job(**planned["request"])
    assert ended_processing(client("sagemaker"), name)["ProcessingJobStatus"] == "Failed"
    first.prepare(source, output, image_size=32)
    jobs = client("sagemaker").list_processing_jobs(NameContains=name)["ProcessingJobSummaries"]
    assert {job["ProcessingJobName"]: job["ProcessingJobStatus"] for job in jobs} == {
        name: "Failed", f"{name}-2": "Completed"
    }  # fmt: skip


def test_a_failure_says_what_the_container_said(films: Path, preparer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "nih"
    write_nih_folder(folder, patients=2, films=1)
    for path in (folder / "images").iterdir():
        path.write_bytes(b"no image")
    source = put(folder, "broken/nih")
    with pytest.raises(DataError, match=r"Processing job \S+ failed: AlgorithmError: .*All 2 images were rejected"):
        preparer().prepare(source, S3Prefix(source.bucket, "broken/shards"), image_size=32)


def test_what_contradicts_itself_costs_no_job(films: Path, preparer: Any, tmp_path: Path) -> None:
    source = put(films, "doubt/nih")
    bucket = source.bucket
    client("s3").put_object(Bucket=bucket, Key="doubt/nih/test_list.txt", Body=b"99999999_000.png\n")
    with pytest.raises(DataError, match="99999999_000"):
        preparer().prepare(source, S3Prefix(bucket, "doubt/shards"), image_size=32)
    with pytest.raises(DataError, match="holds no images"):
        preparer().prepare(S3Prefix(bucket, "doubt/nowhere"), S3Prefix(bucket, "doubt/shards"), image_size=32)
    client("s3").put_object(Bucket=bucket, Key="doubt/taken/notes.txt", Body=b"mine")
    good = put(films, "doubt/good")
    with pytest.raises(DataError, match=r"notes\.txt is there"):
        preparer().prepare(good, S3Prefix(bucket, "doubt/taken"), image_size=32)
    with pytest.raises(SettingsError, match="image_size is 5"):
        preparer().prepare(good, S3Prefix(bucket, "doubt/shards"), image_size=5)
    with pytest.raises(SettingsError, match="InstanceType"):
        preparer(instance_type="m5").prepare(good, S3Prefix(bucket, "doubt/shards"), image_size=32)
    assert not client("sagemaker").list_processing_jobs(NameContains="doubt")["ProcessingJobSummaries"]


def test_a_job_at_its_limit_is_not_finished(films: Path, preparer: Any, tmp_path: Path) -> None:
    source = put(films, "limit/nih")
    sleeps = variables(tmp_path, image="sleeps")["CXR_SAGEMAKER_IMAGE"]
    with pytest.raises(JobStoppedError, match="MaxRuntimeInSeconds"):
        preparer(image=sleeps, max_hours=str(1 / 3600)).prepare(
            source, S3Prefix(source.bucket, "limit/shards"), image_size=32
        )  # fmt: skip


def test_a_dry_run_prints_requests_and_writes_nothing(films: Path, preparer: Any) -> None:
    source = put(films, "dry/nih")
    output = S3Prefix(source.bucket, "dry/shards")
    plan = preparer(2).plan(source, output, image_size=32)
    assert [step["operation"] for step in plan] == ["PutObject"] * 3 + ["CreateExperiment"] + [
        "CreateProcessingJob"
    ] * 2
    decode, assemble = (step["request"] for step in plan[4:])
    assert decode["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 2
    assert assemble["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 1
    assert decode["AppSpecification"]["ContainerArguments"][:2] == ["prepare-data", "decode"]
    client("s3").put_object(Bucket=source.bucket, Key="dry/nih/images/00000001_000.png", Body=b"another film")
    other = preparer(2).plan(source, output, image_size=32)
    assert other[4]["request"]["Environment"] != decode["Environment"]  # other content is another request
    assert not objects(output)
    assert not client("sagemaker").list_processing_jobs(NameContains="dry")["ProcessingJobSummaries"]
