"""Training jobs on the emulator, asked for as AWS's own pages do: plain clients, nothing of ours in the container."""

import io
import json
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.support.emulators import ROLE, ended, log_lines, shell_job, spot, states, wait_until

from chest_xray.emulator.server import Emulator


def channel(name: str, uri: str, **source: str) -> dict[str, Any]:
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri, **source}}}


def archive(s3: Any, bucket: str, name: str) -> dict[str, bytes]:
    """What a job left in model.tar.gz or output.tar.gz."""
    body = s3.get_object(Bucket=bucket, Key=name)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened}


def test_a_job_from_create_to_model(emulator: Emulator, sagemaker: Any, s3: Any, logs: Any) -> None:
    s3.put_object(Bucket=emulator.bucket, Key="whole/a/film.txt", Body=b"film")
    script = (
        "echo loss=0.5; echo loss=0.25; cp /opt/ml/input/data/films/a/film.txt /opt/ml/model; "
        "echo x > /opt/ml/output/data/y"
    )
    job = shell_job("whole", script, InputDataConfig=[channel("films", f"s3://{emulator.bucket}/whole")])
    job["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "train:loss", "Regex": r"loss=([0-9.]+)"}]
    arn = sagemaker.create_training_job(**job)["TrainingJobArn"]
    assert arn == "arn:aws:sagemaker:us-east-1:123456789012:training-job/whole"
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName="whole", WaiterConfig={"Delay": 1})
    found = sagemaker.describe_training_job(TrainingJobName="whole")
    assert found["TrainingJobStatus"] == "Completed"
    assert states(found) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert [(metric["MetricName"], metric["Value"]) for metric in found["FinalMetricDataList"]] == [
        ("train:loss", 0.25)
    ]
    assert found["BillableTimeInSeconds"] == found["TrainingTimeInSeconds"]
    assert found["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{emulator.bucket}/out/whole/output/model.tar.gz"
    assert archive(s3, emulator.bucket, "out/whole/output/model.tar.gz") == {"film.txt": b"film"}
    assert archive(s3, emulator.bucket, "out/whole/output/output.tar.gz") == {"y": b"x\n"}
    assert log_lines(logs, "whole") == ["loss=0.5", "loss=0.25"]
    summaries = sagemaker.list_training_jobs(NameContains="whole")["TrainingJobSummaries"]
    assert [item["TrainingJobStatus"] for item in summaries] == ["Completed"]


def test_the_container_finds_its_contract_and_nothing_of_ours(
    emulator: Emulator, sagemaker: Any, logs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_USER", "secret")
    job = shell_job(
        "contract",
        "cat /opt/ml/input/config/hyperparameters.json; echo; cat /opt/ml/input/config/resourceconfig.json; echo; env",
        HyperParameters={"epochs": "3"},
        Environment={"ASKED": "/opt/ml/model"},
    )
    sagemaker.create_training_job(**job)
    assert ended(sagemaker, "contract")["TrainingJobStatus"] == "Completed"
    hyperparameters, resources, *variables = log_lines(logs, "contract")
    assert json.loads(hyperparameters) == {"epochs": "3"}
    assert json.loads(resources)["hosts"] == ["algo-1"]
    assert json.loads(resources)["current_host"] == "algo-1"
    values = dict(line.split("=", 1) for line in variables)
    assert values["ASKED"].endswith("/algo-1/model")
    assert values["TRAINING_JOB_NAME"] == "contract"
    assert values["AWS_ENDPOINT_URL"] == emulator.url
    assert not {name for name in values if name.startswith(("CXR_", "OF_", "PYTHON", "PYTEST"))}


def test_an_isolated_container_has_no_credentials(sagemaker: Any, logs: Any) -> None:
    sagemaker.create_training_job(**shell_job("isolated", "env", EnableNetworkIsolation=True))
    ended(sagemaker, "isolated")
    assert not [line for line in log_lines(logs, "isolated") if "CREDENTIALS" in line or "ENDPOINT" in line]


def test_an_image_runs_its_own_command(sagemaker: Any, logs: Any) -> None:
    job = shell_job("image", "")
    job["AlgorithmSpecification"] = {"TrainingImage": "echo:latest", "TrainingInputMode": "File"}
    sagemaker.create_training_job(**job)
    ended(sagemaker, "image")
    assert log_lines(logs, "image") == ["train"]


def test_hosts_share_the_data_by_key_and_the_model(emulator: Emulator, sagemaker: Any, s3: Any) -> None:
    for name in "abc":
        s3.put_object(Bucket=emulator.bucket, Key=f"shared/{name}", Body=name.encode())
    script = "cp /opt/ml/input/data/films/* /opt/ml/model"
    source = channel("films", f"s3://{emulator.bucket}/shared/", S3DataDistributionType="ShardedByS3Key")
    job = shell_job("hosts", script, InputDataConfig=[source])
    job["ResourceConfig"]["InstanceCount"] = 2
    sagemaker.create_training_job(**job)
    assert ended(sagemaker, "hosts")["TrainingJobStatus"] == "Completed"
    assert archive(s3, emulator.bucket, "out/hosts/output/model.tar.gz") == {"a": b"a", "b": b"b", "c": b"c"}


COUNT = (
    "cd /opt/ml/checkpoints; n=$(cat n 2>/dev/null || echo 0); trap 'echo told; exit 0' TERM; "
    "while [ $n -lt 40 ]; do n=$((n + 1)); echo $n > n.part; mv n.part n; echo at $n; sleep 0.05; done; "
    "cp n /opt/ml/model"
)


def test_a_reclaimed_job_goes_on_from_the_synced_checkpoint(
    emulator: Emulator, sagemaker: Any, s3: Any, logs: Any
) -> None:
    sagemaker.create_training_job(**shell_job("reclaimed", COUNT, **spot("reclaimed")))
    wait_until(lambda: s3.list_objects_v2(Bucket=emulator.bucket, Prefix="checkpoints/reclaimed/n").get("Contents"))
    assert emulator.order("reclaim", "reclaimed") is None
    found = ended(sagemaker, "reclaimed")
    again = ["Interrupted", "Starting", "Downloading", "Training"]
    assert states(found) == ["Starting", "Downloading", "Training", *again, "Uploading", "Completed"]
    assert archive(s3, emulator.bucket, "out/reclaimed/output/model.tar.gz") == {"n": b"40\n"}
    assert "told" not in log_lines(logs, "reclaimed")
    assert found["BillableTimeInSeconds"] <= found["TrainingTimeInSeconds"]


def test_only_spot_instances_in_training_are_reclaimed(emulator: Emulator, sagemaker: Any) -> None:
    sagemaker.create_training_job(**shell_job("ondemand", "exit 0"))
    ended(sagemaker, "ondemand")
    assert "does not run on spot" in emulator.order("reclaim", "ondemand")
    assert "no training job" in emulator.order("reclaim", "absent")


def test_a_stopped_job_is_told_first_and_keeps_what_it_has(
    emulator: Emulator, sagemaker: Any, s3: Any, logs: Any
) -> None:
    script = "trap 'echo told; echo part > /opt/ml/model/part; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    sagemaker.create_training_job(**shell_job("told", script))
    wait_until(lambda: sagemaker.describe_training_job(TrainingJobName="told")["SecondaryStatus"] == "Training")
    wait_until(lambda: "ready" in log_lines(logs, "told"))
    sagemaker.stop_training_job(TrainingJobName="told")
    found = ended(sagemaker, "told")
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert log_lines(logs, "told") == ["ready", "told"]
    assert archive(s3, emulator.bucket, "out/told/output/model.tar.gz") == {"part": b"part\n"}
    with pytest.raises(sagemaker.exceptions.ClientError, match="is in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName="told")


def test_who_does_not_hear_is_killed_after_the_grace(sagemaker: Any, logs: Any) -> None:
    sagemaker.create_training_job(**shell_job("deaf", "trap '' TERM; echo ready; while :; do sleep 0.05; done"))
    wait_until(lambda: sagemaker.describe_training_job(TrainingJobName="deaf")["SecondaryStatus"] == "Training")
    sagemaker.stop_training_job(TrainingJobName="deaf")
    assert ended(sagemaker, "deaf")["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("limits", "secondary"),
    [
        ({"MaxRuntimeInSeconds": 1}, "MaxRuntimeExceeded"),
        ({"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}, "MaxWaitTimeExceeded"),
    ],
)
def test_a_limit_stops_a_job_and_does_not_fail_it(sagemaker: Any, limits: dict[str, int], secondary: str) -> None:
    name = secondary.lower()
    members = spot(name) if "MaxWaitTimeInSeconds" in limits else {}
    sagemaker.create_training_job(**shell_job(name, "sleep 60", **members | {"StoppingCondition": limits}))
    found = ended(sagemaker, name)
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("Stopped", secondary)
    assert "FailureReason" not in found


def test_a_failure_carries_what_the_container_wrote(sagemaker: Any) -> None:
    sagemaker.create_training_job(**shell_job("failing", "echo no shards > /opt/ml/output/failure; exit 7"))
    found = ended(sagemaker, "failing")
    assert found["TrainingJobStatus"] == "Failed"
    assert found["FailureReason"] == "AlgorithmError: no shards\n, exit code: 7"


def test_a_channel_with_nothing_behind_it_fails_the_job(emulator: Emulator, sagemaker: Any) -> None:
    job = shell_job("empty", "true", InputDataConfig=[channel("films", f"s3://{emulator.bucket}/nothing-here")])
    sagemaker.create_training_job(**job)
    reason = ended(sagemaker, "empty")["FailureReason"]
    assert reason.startswith("ClientError: Data download failed:No S3 objects found under S3 URL")


def test_a_name_is_used_once_and_a_finished_job_can_be_deleted(sagemaker: Any) -> None:
    sagemaker.create_training_job(**shell_job("once", "sleep 60"))
    with pytest.raises(sagemaker.exceptions.ResourceInUse, match="already exists"):
        sagemaker.create_training_job(**shell_job("once", "true"))
    with pytest.raises(sagemaker.exceptions.ResourceInUse, match="is InProgress"):
        sagemaker.delete_training_job(TrainingJobName="once")
    wait_until(lambda: sagemaker.describe_training_job(TrainingJobName="once")["SecondaryStatus"] == "Training")
    sagemaker.stop_training_job(TrainingJobName="once")
    ended(sagemaker, "once")
    sagemaker.delete_training_job(TrainingJobName="once")
    with pytest.raises(sagemaker.exceptions.ClientError, match="Requested resource not found"):
        sagemaker.describe_training_job(TrainingJobName="once")


REFUSED = {
    "64 characters": ({"TrainingJobName": "x" * 64}, "length less than or equal to 63"),
    "an underscore": ({"TrainingJobName": "a_b"}, "regular expression pattern"),
    "2501 characters": ({"HyperParameters": {"epochs": "1" * 2501}}, "length less than or equal to 2500"),
    "51 tags": ({"Tags": [{"Key": f"k{n}", "Value": ""} for n in range(51)]}, "length less than or equal to 50"),
    "an unknown instance": ({"ResourceConfig": {"InstanceType": "ml.x9.huge"}}, "enum value set"),
    "spot without a wait": ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds must be specified"),
    "a wait below the runtime": (
        {
            "EnableManagedSpotTraining": True,
            "StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 8},
        },
        "Invalid MaxWaitTimeInSeconds",
    ),
    "a missing bucket": ({"OutputDataConfig": {"S3OutputPath": "s3://nobody-has-this/out"}}, "does not exist"),
    "an unknown image": (
        {"AlgorithmSpecification": {"TrainingImage": "absent:1", "TrainingInputMode": "File"}},
        "Requested image absent:1 not found",
    ),
    "checkpoints outside the container's folder": (
        {"CheckpointConfig": {"S3Uri": "s3://sagemaker-us-east-1-123456789012/c", "LocalPath": "/data/checkpoints"}},
        "copies checkpoints below /opt/ml",
    ),
    "two channels of a name": (
        {"InputDataConfig": [channel("a", "s3://b/c"), channel("a", "s3://b/d")]},
        "Duplicate channel names",
    ),
    "41 metrics": (
        {
            "AlgorithmSpecification": {
                "TrainingImage": "echo:1",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": f"m{n}", "Regex": "x"} for n in range(41)],
            }
        },
        "length less than or equal to 40",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_aws_refuses_is_refused(sagemaker: Any, what: str) -> None:
    members, message = REFUSED[what]
    job = shell_job("refused", "true") | members
    job["ResourceConfig"] = {"InstanceCount": 1, "VolumeSizeInGB": 1, **job["ResourceConfig"]}
    with pytest.raises(sagemaker.exceptions.ClientError, match=message) as caught:
        sagemaker.create_training_job(**job)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_a_bucket_elsewhere_is_refused(sagemaker: Any, s3: Any) -> None:
    s3.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    with pytest.raises(sagemaker.exceptions.ClientError, match="is in eu-west-1"):
        sagemaker.create_training_job(
            **shell_job("elsewhere", "true", OutputDataConfig={"S3OutputPath": "s3://far-away/out"}, RoleArn=ROLE)
        )


def test_a_jobs_experiment_must_be_there_and_is_made_once(sagemaker: Any) -> None:
    job = shell_job("of-a-study", "true", ExperimentConfig={"ExperimentName": "study"})
    with pytest.raises(ClientError, match="Experiment study does not exist"):
        sagemaker.create_training_job(**job)
    sagemaker.create_experiment(ExperimentName="study")
    with pytest.raises(ClientError, match="must be unique"):
        sagemaker.create_experiment(ExperimentName="study")
    sagemaker.create_training_job(**job)
    assert ended(sagemaker, "of-a-study")["ExperimentConfig"] == {"ExperimentName": "study"}
