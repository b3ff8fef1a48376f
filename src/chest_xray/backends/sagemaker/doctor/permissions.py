"""The job's role, and what it and the caller may do, by IAM's own simulation of their policies.

Policies of buckets, keys and repositories, and an organisation's, are not part of the simulation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from chest_xray.backends.sagemaker.doctor.places import needed
from chest_xray.backends.sagemaker.ecr import read_image
from chest_xray.backends.sagemaker.follow import TRAINING

if TYPE_CHECKING:
    from chest_xray.backends.sagemaker.aws import Aws
    from chest_xray.settings import SageMakerSettings

_SERVICE: Final = "sagemaker.amazonaws.com"
_DESCRIBE: Final = (
    "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)  # fmt: skip
_INTERFACES: Final = (
    "ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
)  # fmt: skip
_LOGS: Final = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
_JOBS: Final = (
    "sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob",
    "sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob", "sagemaker:CreateExperiment",
    "sagemaker:CreateModelPackageGroup", "sagemaker:ListModelPackageGroups", "sagemaker:ListModelPackages",
    "sagemaker:CreateModelPackage", "sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage",
)  # fmt: skip


# What a policy may ask of a request: the service that a role is passed to, the metrics' namespace, whom a grant is for.
CONTEXT: Final = {
    "iam:PassedToService": ("string", _SERVICE),
    "cloudwatch:namespace": ("string", TRAINING.log_group),
    "kms:GrantIsForAWSResource": ("boolean", "true"),
}


def check_role(aws: Aws, settings: SageMakerSettings) -> tuple[str, str]:
    """It is there, and SageMaker may assume it."""
    arn = needed("role", settings.role)
    document = aws.call("iam", "get_role", RoleName=_name(arn))["Role"]["AssumeRolePolicyDocument"]
    statements = (json.loads(unquote(document)) if isinstance(document, str) else document)["Statement"]
    if any(_lets_sagemaker(statement) for statement in _listed(statements)):
        return f"{arn}, which SageMaker may assume", ""
    return arn, f"Let {_SERVICE} assume it (sts:AssumeRole) in its trust policy."


def check_role_may(aws: Aws, settings: SageMakerSettings) -> tuple[str, str]:
    """Read and write the bucket, pull the image, log, and use the key and the VPC where there are any."""
    return _simulated(aws, needed("role", settings.role), asked_of_role(settings, aws.region), "the role")


def asked_of_role(settings: SageMakerSettings, region: str) -> dict[str, list[str]]:
    """The actions that a job needs, by resource; `*` where AWS has no resource."""
    account = needed("role", settings.role).split(":")[4]
    group = f"arn:aws:logs:{region}:{account}:log-group:{TRAINING.log_group}:*"
    asked = _storage(settings) | {group: list(_LOGS), "*": ["cloudwatch:PutMetricData"]}
    if settings.image is not None and (image := read_image(settings.image)) is not None:
        repository = f"arn:aws:ecr:{image.region}:{image.account}:repository/{image.repository}"
        asked[repository] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        asked["*"].append("ecr:GetAuthorizationToken")
    if settings.kms_key is not None and settings.kms_key.startswith("arn:"):
        asked[settings.kms_key] = ["kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant"]
    if settings.subnets:
        asked["*"].extend(_DESCRIBE)
        asked[f"arn:aws:ec2:{region}:{account}:network-interface/*"] = list(_INTERFACES)
        for kind, names in {"subnet": settings.subnets, "security-group": settings.security_groups}.items():
            asked |= {f"arn:aws:ec2:{region}:{account}:{kind}/{name}": [_INTERFACES[0]] for name in names}
    return asked


def check_caller(aws: Aws, settings: SageMakerSettings) -> tuple[str, str]:
    """Create, follow and stop jobs, register models, pass the role, read and write the bucket, and read the log."""
    asked = _storage(settings) | {"*": [*_JOBS, "logs:GetLogEvents", "logs:DescribeLogStreams"]}
    if settings.role is not None:
        asked[settings.role] = ["iam:PassRole"]
    caller = str(aws.call("sts", "get_caller_identity")["Arn"])
    if caller.endswith(":root"):
        return f"{caller} may do everything", ""
    if ":assumed-role/" in caller:
        # The session's ARN does not tell the role's path.
        role = caller.split("/")[1]
        caller = str(aws.call("iam", "get_role", RoleName=role)["Role"]["Arn"])
    return _simulated(aws, caller, asked, "your user or role")


def _storage(settings: SageMakerSettings) -> dict[str, list[str]]:
    bucket = f"arn:aws:s3:::{needed('bucket', settings.bucket)}"
    return {bucket: ["s3:ListBucket"], f"{bucket}/{settings.prefix}/*": ["s3:GetObject", "s3:PutObject"]}


def _simulated(aws: Aws, principal: str, asked: Mapping[str, Sequence[str]], who: str) -> tuple[str, str]:
    refused = []
    for resource, actions in asked.items():
        answer = aws.call(
            "iam",
            "simulate_principal_policy",
            PolicySourceArn=principal,
            ActionNames=list(actions),
            ResourceArns=[resource],
            ContextEntries=[
                {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": kind}
                for key, (kind, value) in CONTEXT.items()
            ],
        )
        refused += [
            f"{result['EvalActionName']} on {resource}"
            for result in answer["EvaluationResults"]
            if result["EvalDecision"] != "allowed"
        ]
    if not refused:
        return f"{sum(map(len, asked.values()))} actions that a job needs are allowed", ""
    return f"not allowed: {', '.join(refused)}", f"Allow {who} to do it in an IAM policy."


def _lets_sagemaker(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal", {})
    services = _listed(principal.get("Service", ())) if isinstance(principal, dict) else []
    actions = _listed(statement.get("Action", ()))
    return statement.get("Effect") == "Allow" and _SERVICE in services and "sts:AssumeRole" in actions


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _name(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]
