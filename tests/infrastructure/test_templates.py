"""What the templates promise, construct by construct."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.infrastructure.conftest import Template

from chest_xray.backends.sagemaker.follow import PROCESSING, TRAINING
from chest_xray.settings import SageMakerSettings


def bucket(template: Template, purpose: str) -> tuple[str, dict[str, Any]]:
    (found,) = [
        (name, one["Properties"])
        for name, one in template.of("S3::Bucket").items()
        if one["Properties"]["BucketName"].startswith(f"chest-xray-{template.stage}-{purpose}-")
    ]
    return found


def policy(template: Template, name: str) -> list[dict[str, Any]]:
    """Statements of a bucket's policy."""
    (found,) = [one for one in template.properties("S3::BucketPolicy") if one["Bucket"] == {"Ref": name}]
    return list(found["PolicyDocument"]["Statement"])


def test_the_buckets_are_these(template: Template) -> None:
    names = {one["BucketName"].split("-")[3] for one in template.properties("S3::Bucket")}
    assert names == {"data", "models", "captures", "access", "trail"}


def test_every_bucket_is_encrypted_under_the_key_that_rotates(template: Template) -> None:
    ((key, made),) = template.of("KMS::Key").items()
    assert made["Properties"]["EnableKeyRotation"] is True
    for one in template.properties("S3::Bucket"):
        (rule,) = one["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"] == {
            "SSEAlgorithm": "aws:kms",
            "KMSMasterKeyID": {"Fn::GetAtt": [key, "Arn"]},
        }


def test_every_bucket_is_closed_versioned_and_kept(template: Template) -> None:
    closed = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
    for one in template.of("S3::Bucket").values():
        assert one["Properties"]["PublicAccessBlockConfiguration"] == closed
        assert one["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
        assert one["DeletionPolicy"] == one["UpdateReplacePolicy"] == "Retain"


def test_every_bucket_refuses_plain_http_and_old_tls(template: Template) -> None:
    for name in template.of("S3::Bucket"):
        denied = [one["Condition"] for one in policy(template, name) if one["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in denied
        assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in denied


@pytest.mark.parametrize("purpose", ["data", "models", "captures", "trail"])
def test_a_bucket_refuses_another_key_and_logs_its_requests(template: Template, purpose: str) -> None:
    name, properties = bucket(template, purpose)
    ((key, _),) = template.of("KMS::Key").items()
    header = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    wanted = {"StringNotEquals": {header: {"Fn::GetAtt": [key, "Arn"]}}, "Null": {header: "false"}}
    assert wanted in [one.get("Condition") for one in policy(template, name) if one["Effect"] == "Deny"]
    logs, _ = bucket(template, "access-logs")
    assert properties["LoggingConfiguration"] == {
        "DestinationBucketName": {"Ref": logs},
        "LogFilePrefix": f"{purpose}/",
    }


def test_data_move_to_cheaper_tiers_and_what_runs_left_ends(template: Template) -> None:
    _, properties = bucket(template, "data")
    rules = {one.get("Prefix"): one for one in properties["LifecycleConfiguration"]["Rules"]}
    assert rules["chest-xray/data/"]["Transitions"][0]["StorageClass"] == "INTELLIGENT_TIERING"
    for folder in ("jobs", "checkpoints"):
        rule = rules[f"chest-xray/{folder}/"]
        assert rule["Transitions"][0]["StorageClass"] == "GLACIER_IR"
        assert rule["ExpirationInDays"] >= 180


def test_captured_images_end(template: Template) -> None:
    _, properties = bucket(template, "captures")
    days = {
        one["ExpirationInDays"] for one in properties["LifecycleConfiguration"]["Rules"] if "ExpirationInDays" in one
    }
    assert days == {365 if template.stage == "prod" else 90}


def test_models_are_never_deleted_by_age(template: Template) -> None:
    _, properties = bucket(template, "models")
    assert not [one for one in properties["LifecycleConfiguration"]["Rules"] if "ExpirationInDays" in one]


def test_cheap_has_no_network_to_pay_for(cheap: Template) -> None:
    assert [kind for one in cheap.body["Resources"].values() if (kind := one["Type"]).startswith("AWS::EC2::")] == []


def test_no_route_leads_from_the_workloads_to_the_internet(private: Template) -> None:
    for kind in ("InternetGateway", "NatGateway", "Route", "EgressOnlyInternetGateway", "VPCPeeringConnection"):
        assert private.of(f"EC2::{kind}") == {}
    assert [one.get("MapPublicIpOnLaunch") for one in private.properties("EC2::Subnet")] == [False, False]


def test_the_vpc_reaches_each_service_that_the_doctor_looks_for(private: Template) -> None:
    endpoints = private.properties("EC2::VPCEndpoint")
    names = {json.dumps(one["ServiceName"]) for one in endpoints}
    wanted = (
        "s3", "ecr.api", "ecr.dkr", "logs", "monitoring", "kms", "sts", "sagemaker.api", "sagemaker.runtime",
    )  # fmt: skip
    assert [name for name in wanted if not any(one.rstrip('"]} ').endswith(f".{name}") for one in names)] == []
    assert len(endpoints) == len(wanted)


def test_an_endpoint_of_the_vpc_lets_only_this_account_through(private: Template) -> None:
    for one in private.properties("EC2::VPCEndpoint"):
        for statement in one["PolicyDocument"]["Statement"]:
            layers = "starport-layer-bucket" in json.dumps(statement["Resource"])
            assert layers or set(statement["Condition"]["StringEquals"]) <= {
                "aws:PrincipalAccount",
                "aws:ResourceAccount",
            }


def test_nobody_from_outside_the_vpc_reaches_the_workloads(private: Template) -> None:
    (entrance,) = private.properties("EC2::SecurityGroupIngress")
    assert (entrance["FromPort"], entrance["ToPort"]) == (443, 443)
    assert "SourceSecurityGroupId" in entrance
    assert [one for one in private.properties("EC2::SecurityGroup") if "SecurityGroupIngress" in one] == []


def test_flows_are_logged(private: Template) -> None:
    (flows,) = private.properties("EC2::FlowLog")
    assert flows["TrafficType"] == "ALL"


def test_images_are_scanned_and_a_tag_stays(template: Template) -> None:
    (images,) = template.properties("ECR::Repository")
    assert images["RepositoryName"] == "chest-xray"
    assert images["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert images["ImageTagMutability"] == "IMMUTABLE"
    assert images["EncryptionConfiguration"]["EncryptionType"] == "KMS"


def test_mlflow_registers_nothing_by_itself(template: Template) -> None:
    (mlflow,) = template.properties("SageMaker::MlflowApp")
    assert mlflow["ModelRegistrationMode"] == "AutoModelRegistrationDisabled"


def test_the_trail_covers_the_objects_and_cannot_be_edited(template: Template) -> None:
    (trail,) = template.properties("CloudTrail::Trail")
    assert {trail["IsLogging"], trail["IsMultiRegionTrail"], trail["EnableLogFileValidation"]} == {True}
    (selector,) = trail["EventSelectors"]
    assert selector["ReadWriteType"] == "All"
    assert len(selector["DataResources"][0]["Values"]) == 3
    name, properties = bucket(template, "trail")
    assert trail["S3BucketName"] == {"Ref": name}
    mode, days = ("COMPLIANCE", 2192) if template.stage == "prod" else ("GOVERNANCE", 365)
    assert properties["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {"Mode": mode, "Days": days}


def test_every_log_is_under_the_key_for_the_stages_days(template: Template) -> None:
    days = 2192 if template.stage == "prod" else 365
    groups = template.properties("Logs::LogGroup")
    assert groups
    assert {one["RetentionInDays"] for one in groups} == {days}
    assert [one["LogGroupName"] for one in groups if "KmsKeyId" not in one] == []


def test_alerts_are_encrypted_and_refused_over_plain_http(template: Template) -> None:
    for one in template.properties("SNS::Topic"):
        assert "KmsMasterKeyId" in one
    told = [one["PolicyDocument"]["Statement"] for one in template.properties("SNS::TopicPolicy")]
    assert len(told) == len(template.of("SNS::Topic"))
    for statements in told:
        denied = [one["Condition"] for one in statements if one["Effect"] == "Deny"]
        assert denied == [{"Bool": {"aws:SecureTransport": "false"}}]


def test_the_month_has_a_budget_and_its_alarm(template: Template) -> None:
    (budget,) = template.properties("Budgets::Budget")
    limits = {"dev": 50, "staging": 300, "prod": 1000}
    assert budget["Budget"]["BudgetLimit"] == {"Amount": limits[template.stage], "Unit": "USD"}
    told = {
        (one["Notification"]["NotificationType"], one["Notification"]["Threshold"])
        for one in budget["NotificationsWithSubscribers"]
    }
    assert told == {("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)}


def test_every_alarm_tells_somebody(template: Template) -> None:
    alarms = template.properties("CloudWatch::Alarm")
    assert alarms
    assert [one["AlarmName"] for one in alarms if not one["AlarmActions"]] == []


def test_what_can_be_tagged_says_whose_it_is(template: Template) -> None:
    for one in template.properties("S3::Bucket") + template.properties("IAM::Role") + template.properties("KMS::Key"):
        tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        assert tags == {"mode": template.mode, "project": "chest-xray", "stage": template.stage}


def test_cxr_is_told_its_settings_under_its_own_names(private: Template) -> None:
    names = {name.removeprefix("CxrSagemaker").lower() for name in private.body["Outputs"]}
    assert names >= {"bucket", "kmskey", "role", "image", "region", "subnets", "securitygroups"}
    known = {name.replace("_", "") for name in SageMakerSettings.model_fields}
    assert {name for name in names if name not in known} == set()


def test_every_kind_of_log_that_sagemaker_makes_is_made_before_it(template: Template) -> None:
    made = {one["LogGroupName"] for one in template.properties("Logs::LogGroup")}
    kinds = ("TrainingJobs", "ProcessingJobs", "TransformJobs", "Endpoints/chest-xray")
    assert {f"/aws/sagemaker/{kind}" for kind in kinds} <= made
    assert {TRAINING.log_group, PROCESSING.log_group} <= made


def test_cdk_makes_nothing_that_a_run_or_a_release_makes(template: Template) -> None:
    for kind in ("Model", "EndpointConfig", "Endpoint", "ModelPackage", "ProcessingJob"):
        assert template.of(f"SageMaker::{kind}") == {}


def test_an_asynchronous_answer_is_told_on_a_topic_that_the_endpoint_may_publish_to(template: Template) -> None:
    topics = {one["TopicName"] for one in template.properties("SNS::Topic")}
    wanted = {f"chest-xray-{template.stage}-async-{outcome}" for outcome in ("answered", "failed")}
    assert wanted < topics
    (serving,) = [
        one["PolicyDocument"]["Statement"]
        for one in template.properties("IAM::ManagedPolicy")
        if one["ManagedPolicyName"] == f"chest-xray-{template.stage}-serving"
    ]
    (publishing,) = [one["Resource"] for one in serving if one["Action"] == "sns:Publish"]
    assert {arn.rpartition(":")[2] for arn in publishing} == wanted
