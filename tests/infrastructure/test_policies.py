"""Policies, parsed: who may do what, and who may not."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from tests.infrastructure.conftest import Template

from chest_xray.backends.sagemaker.doctor import permissions
from chest_xray.settings import SageMakerSettings

# Actions for which AWS's service authorization reference has no resource.
WITHOUT_RESOURCE = {
    "cloudwatch:PutMetricData",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ecr:GetAuthorizationToken",
}
ACCOUNTS = {"dev": "111111111111", "staging": "222222222222", "prod": "333333333333"}
KEY = "arn:aws:kms:us-east-1:111111111111:key/11111111-1111-1111-1111-111111111111"
JOBS = ("training", "processing", "monitor", "serving")


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(template: Template, effect: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Statements of managed policies, by the policy's name."""
    for policy in template.properties("IAM::ManagedPolicy"):
        for one in policy["PolicyDocument"]["Statement"]:
            if one["Effect"] == effect:
                yield policy["ManagedPolicyName"], one


def actions(template: Template, role: str, effect: str = "Allow") -> set[str]:
    name = f"chest-xray-{template.stage}-{role}"
    return {action for found, one in statements(template, effect) if found == name for action in listed(one["Action"])}


def role(template: Template, purpose: str) -> dict[str, Any]:
    name = f"chest-xray-{template.stage}-{purpose}"
    (found,) = [one for one in template.properties("IAM::Role") if one["RoleName"] == name]
    return found


def test_no_permission_has_a_wildcard_for_an_action(template: Template) -> None:
    given = [(name, action) for name, one in statements(template, "Allow") for action in listed(one["Action"])]
    assert len(given) > 50
    assert [pair for pair in given if "*" in pair[1]] == []


def test_every_resource_is_named_where_aws_has_one(template: Template) -> None:
    wide = [
        (name, action)
        for name, one in statements(template, "Allow")
        if "*" in listed(one["Resource"])
        for action in listed(one["Action"])
        if action not in WITHOUT_RESOURCE
    ]
    assert wide == []


def test_permissions_stand_in_managed_policies_only(template: Template) -> None:
    assert template.of("IAM::Policy") == {}
    assert [one["RoleName"] for one in template.properties("IAM::Role") if "Policies" in one] == []


def test_no_user_has_a_key_of_long_life(template: Template) -> None:
    assert template.of("IAM::User") == {}
    assert template.of("IAM::AccessKey") == {}


def test_who_trains_cannot_promote(template: Template) -> None:
    for purpose in (*JOBS, "github"):
        assert "sagemaker:UpdateModelPackage" not in actions(template, purpose)
        assert "sagemaker:UpdateModelPackage" in actions(template, purpose, "Deny")


def test_who_promotes_names_the_stage_and_has_a_second_factor_and_cannot_train(template: Template) -> None:
    name = f"chest-xray-{template.stage}-promoter"
    (promotion,) = [
        one
        for found, one in statements(template, "Allow")
        if found == name and "sagemaker:UpdateModelPackage" in listed(one["Action"])
    ]
    stages = {"sagemaker:ModelLifeCycle:stage": ["Staging", "Production", "Archived"]}
    assert promotion["Condition"] == {"StringEquals": stages}
    (trust,) = role(template, "promoter")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    assert {"sagemaker:CreateModelPackage", "sagemaker:CreateTrainingJob"} <= actions(template, "promoter", "Deny")


def test_a_workflow_is_let_in_by_both_forms_of_its_environments_subject_and_by_no_other(template: Template) -> None:
    (trust,) = role(template, "github")["AssumeRolePolicyDocument"]["Statement"]
    issuer = "token.actions.githubusercontent.com"
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Condition"] == {
        "StringEquals": {
            f"{issuer}:aud": "sts.amazonaws.com",
            f"{issuer}:sub": [
                f"repo:OWNER/chest-xray-classifier:environment:{template.stage}",
                f"repo:OWNER@1/chest-xray-classifier@1:environment:{template.stage}",
            ],
        }
    }


def test_sagemaker_takes_a_role_for_this_account_only(template: Template) -> None:
    account = ACCOUNTS[template.stage]
    for purpose in (*JOBS, "mlflow"):
        (trust,) = role(template, purpose)["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "sagemaker.amazonaws.com"}
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": account}}


def test_the_boundary_holds_every_role_that_works_and_lets_it_do_its_work(template: Template) -> None:
    limit = actions(template, "boundary")
    for purpose in (*JOBS, "wrapper", "promoter", "mlflow"):
        assert "PermissionsBoundary" in role(template, purpose)
        assert actions(template, purpose) <= limit
    assert not {action for action in limit if action.startswith(("iam:", "cloudtrail:", "sts:"))}


def literal(template: Template, value: Any) -> str:
    """An ARN, with the template's own references put in."""
    if isinstance(value, str):
        return value
    made = template.body["Resources"][value["Fn::GetAtt"][0]]
    return f"arn:aws:s3:::{made['Properties']['BucketName']}" if made["Type"] == "AWS::S3::Bucket" else KEY


def fulfilled(conditions: dict[str, dict[str, Any]]) -> bool:
    """Whether a job's request, as the doctor describes it, meets a statement's conditions."""
    return all(
        any(fnmatchcase(permissions.CONTEXT[key][1], pattern) for pattern in listed(patterns))
        for tests in conditions.values()
        for key, patterns in tests.items()
    )


def allowed(template: Template, role: str, action: str, resource: str) -> bool:
    name = f"chest-xray-{template.stage}-{role}"
    return any(
        action in listed(one["Action"])
        and any(fnmatchcase(resource, literal(template, pattern)) for pattern in listed(one["Resource"]))
        and fulfilled(one.get("Condition", {}))
        for found, one in statements(template, "Allow")
        if found == name
    )


@pytest.mark.parametrize("role", ["training", "boundary"])
def test_the_training_role_may_do_all_that_the_doctor_asks_of_it(private: Template, role: str) -> None:
    account = ACCOUNTS[private.stage]
    settings = SageMakerSettings(
        role=f"arn:aws:iam::{account}:role/chest-xray-{private.stage}-training",
        image=f"{account}.dkr.ecr.us-east-1.amazonaws.com/chest-xray:train",
        bucket=f"chest-xray-{private.stage}-data-{account}-us-east-1",
        kms_key=KEY,
        subnets=("subnet-1", "subnet-2"),
        security_groups=("sg-1",),
    )
    asked = permissions.asked_of_role(settings, "us-east-1")
    assert sum(map(len, asked.values())) > 20
    refused = [
        (action, resource)
        for resource, actions in asked.items()
        for action in actions
        if not allowed(private, role, action, resource)
    ]
    assert refused == []


def test_the_training_role_may_not_read_what_is_not_its_own(private: Template) -> None:
    account = ACCOUNTS[private.stage]
    for purpose in ("captures", "trail", "access-logs"):
        objects = f"arn:aws:s3:::chest-xray-{private.stage}-{purpose}-{account}-us-east-1/chest-xray/one"
        assert not allowed(private, "training", "s3:GetObject", objects)


def test_the_training_role_reads_and_writes_below_the_prefix_that_cxr_uses(template: Template) -> None:
    name = f"chest-xray-{template.stage}-training"
    objects = {
        resource
        for found, one in statements(template, "Allow")
        if found == name and {"s3:GetObject", "s3:PutObject"} & set(listed(one["Action"]))
        for resource in listed(one["Resource"])
    }
    (bucket,) = [
        one["BucketName"] for one in template.properties("S3::Bucket") if f"{template.stage}-data-" in one["BucketName"]
    ]
    assert objects == {f"arn:aws:s3:::{bucket}/chest-xray/*"}
