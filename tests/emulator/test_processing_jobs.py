"""Processing jobs on the emulator, asked for as AWS's own pages do: plain clients, nothing of ours in the container."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.support.emulators import ACCOUNT, ROLE, ended_processing, log_lines, wait_until

from chest_xray.emulator.server import Emulator


def shell_job(emulator: Emulator, name: str, script: str, *, count: int = 1, **members: Any) -> dict[str, Any]:
    """A CreateProcessingJob whose container runs a shell script over `films`, and leaves `out`."""
    films = {
        "S3Uri": f"s3://{emulator.bucket}/{name}/in/",
        "LocalPath": "/opt/ml/processing/input/films",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "ShardedByS3Key",
    }
    out = {
        "S3Uri": f"s3://{emulator.bucket}/{name}/out",
        "LocalPath": "/opt/ml/processing/out",
        "S3UploadMode": "EndOfJob",
    }
    return {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {
            "ImageUri": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/shell:1",
            "ContainerEntrypoint": ["sh", "-c", script],
        },
        "ProcessingInputs": [{"InputName": "films", "S3Input": films}],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": out}]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": count, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
        },
        **members,
    }


def put_films(s3: Any, bucket: str, name: str, count: int) -> None:
    for number in range(count):
        s3.put_object(Bucket=bucket, Key=f"{name}/in/film-{number}.txt", Body=b"film")


def refusal(sagemaker: Any, job: dict[str, Any]) -> str:
    with pytest.raises(ClientError) as error:
        sagemaker.create_processing_job(**job)
    return error.value.response["Error"]["Message"]


def test_each_host_gets_its_share_and_all_outputs_come_back(
    emulator: Emulator, sagemaker: Any, s3: Any, logs: Any
) -> None:
    put_films(s3, emulator.bucket, "shares", 5)
    script = (
        "cd /opt/ml/processing; "
        "host=$(sed 's/.*current_host\": \"\\([a-z0-9-]*\\).*/\\1/' ../config/resourceconfig.json); "
        "ls input/films > out/$host.txt; echo done on $host; echo 5 films > /opt/ml/output/message"
    )
    job = shell_job(emulator, "shares", script, count=2, Environment={"ASKED": "1"})
    arn = sagemaker.create_processing_job(**job)["ProcessingJobArn"]
    assert arn == "arn:aws:sagemaker:us-east-1:123456789012:processing-job/shares"
    sagemaker.get_waiter("processing_job_completed_or_stopped").wait(
        ProcessingJobName="shares", WaiterConfig={"Delay": 1}
    )
    found = sagemaker.describe_processing_job(ProcessingJobName="shares")
    assert (found["ProcessingJobStatus"], found["ExitMessage"]) == ("Completed", "5 films\n")
    assert found["CreationTime"] <= found["ProcessingStartTime"] <= found["ProcessingEndTime"]
    assert (found["Environment"], found["RoleArn"]) == ({"ASKED": "1"}, ROLE)
    left = {
        host: s3.get_object(Bucket=emulator.bucket, Key=f"shares/out/{host}.txt")["Body"].read().decode().split()
        for host in ("algo-1", "algo-2")
    }
    assert left == {
        "algo-1": ["film-0.txt", "film-2.txt", "film-4.txt"],
        "algo-2": ["film-1.txt", "film-3.txt"],
    }
    assert sorted(log_lines(logs, "shares", "ProcessingJobs")) == ["done on algo-1", "done on algo-2"]
    listed = sagemaker.list_processing_jobs(NameContains="shares")["ProcessingJobSummaries"]
    assert [item["ProcessingJobStatus"] for item in listed] == ["Completed"]


def test_one_host_that_fails_ends_the_job_and_nothing_is_uploaded(
    emulator: Emulator, sagemaker: Any, s3: Any, logs: Any
) -> None:
    put_films(s3, emulator.bucket, "halves", 2)
    script = (
        "cd /opt/ml/processing; touch out/begun; if grep -q 'current_host\": \"algo-2' ../config/resourceconfig.json; "
        "then echo no room > /opt/ml/output/message; exit 3; fi; sleep 600"
    )
    sagemaker.create_processing_job(**shell_job(emulator, "halves", script, count=2))
    found = ended_processing(sagemaker, "halves")
    assert found["ProcessingJobStatus"] == "Failed"
    assert found["FailureReason"] == "AlgorithmError: , exit code: 3"
    assert found["ExitMessage"] == "no room\n"
    assert "Contents" not in s3.list_objects_v2(Bucket=emulator.bucket, Prefix="halves/out")


def test_a_stopped_job_and_one_at_its_limit_are_stopped(emulator: Emulator, sagemaker: Any, s3: Any) -> None:
    put_films(s3, emulator.bucket, "stops", 1)
    put_films(s3, emulator.bucket, "limit", 1)
    sagemaker.create_processing_job(**shell_job(emulator, "stops", "sleep 600"))
    limited = shell_job(emulator, "limit", "sleep 600", StoppingCondition={"MaxRuntimeInSeconds": 1})
    sagemaker.create_processing_job(**limited)
    wait_until(lambda: "ProcessingStartTime" in sagemaker.describe_processing_job(ProcessingJobName="stops"))
    sagemaker.stop_processing_job(ProcessingJobName="stops")
    assert ended_processing(sagemaker, "stops")["ProcessingJobStatus"] == "Stopped"
    found = ended_processing(sagemaker, "limit")
    assert found["ProcessingJobStatus"] == "Stopped"
    assert "MaxRuntimeInSeconds" in found["FailureReason"]
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.stop_processing_job(ProcessingJobName="stops")


def test_what_aws_refuses_is_refused(emulator: Emulator, sagemaker: Any, s3: Any) -> None:
    put_films(s3, emulator.bucket, "rules", 1)
    good = shell_job(emulator, "rules", "true")
    assert "processingJobName" in refusal(sagemaker, good | {"ProcessingJobName": "under_score"})
    twice = good | {"ProcessingInputs": good["ProcessingInputs"] * 2}
    assert refusal(sagemaker, twice) == "Duplicate names found in ProcessingInputs."
    lost = json.loads(json.dumps(good))
    lost["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] = "s3://no-such-bucket-here/out"
    assert "no-such-bucket-here" in refusal(sagemaker, lost)
    astray = json.loads(json.dumps(good))
    astray["ProcessingInputs"][0]["S3Input"]["LocalPath"] = "/data"
    assert "LocalPath is /data" in refusal(sagemaker, astray)
    unknown = good | {"AppSpecification": {"ImageUri": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/none:1"}}
    assert "none:1 not found" in refusal(sagemaker, unknown)
    sagemaker.create_processing_job(**good)
    assert "Job name must be unique" in refusal(sagemaker, good)
    assert ended_processing(sagemaker, "rules")["ProcessingJobStatus"] == "Completed"
    with pytest.raises(ClientError, match="Could not find"):
        sagemaker.describe_processing_job(ProcessingJobName="nobody")


def test_an_input_without_films_fails_the_job(emulator: Emulator, sagemaker: Any) -> None:
    sagemaker.create_processing_job(**shell_job(emulator, "empty", "true"))
    assert "No S3 objects found" in ended_processing(sagemaker, "empty")["FailureReason"]
