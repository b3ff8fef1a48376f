"""Log groups as all of them are: under the stage's key, kept for the stage's days."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from infrastructure.settings import Stage


def log_group(scope: Construct, name: str, stage: Stage, key: kms.IKey, group: str) -> logs.CfnLogGroup:
    """A log group called `group`; it outlives the stack."""
    made = logs.CfnLogGroup(scope, name, log_group_name=group, kms_key_id=key.key_arn, retention_in_days=stage.log_days)
    made.apply_removal_policy(RemovalPolicy.RETAIN)
    return made
