"""The trail: who called what in the account, and who read or wrote which object, where nobody can edit it."""

from __future__ import annotations

from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infrastructure.log_groups import log_group
from infrastructure.roles import allow, role
from infrastructure.settings import Stage
from infrastructure.storage import Storage


class Audit(Construct):
    """CloudTrail over all regions, with the objects of the stage's buckets.

    Attributes:
        bucket: locked for the stage's days; in compliance mode not even the account's root deletes a version.
    """

    def __init__(self, scope: Construct, name: str, stage: Stage, storage: Storage) -> None:
        super().__init__(scope, name)
        trail = f"{stage.prefix}-trail"
        arn = stage.arn("cloudtrail", f"trail/{trail}")
        self.bucket = storage.bucket("Trail", "trail", rules=[], locked=True)
        _let_cloudtrail(self.bucket, storage.key, stage, arn)
        group = log_group(self, "TrailLogGroup", stage, storage.key, f"/{stage.prefix}/trail")
        writer = role(
            self,
            stage,
            "trail",
            iam.ServicePrincipal("cloudtrail.amazonaws.com", conditions={"StringEquals": {"aws:SourceArn": arn}}),
            [
                allow(
                    ["logs:CreateLogStream", "logs:PutLogEvents"],
                    [stage.arn("logs", f"log-group:/{stage.prefix}/trail:log-stream:{stage.account}_CloudTrail_*")],
                    why="Streams of one group; CloudTrail names them.",
                )
            ],
        )
        made = cloudtrail.CfnTrail(
            self,
            "Trail",
            trail_name=trail,
            is_logging=True,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            s3_bucket_name=self.bucket.bucket_name,
            kms_key_id=storage.key.key_arn,
            cloud_watch_logs_log_group_arn=group.attr_arn,
            cloud_watch_logs_role_arn=writer.role_arn,
            event_selectors=[
                cloudtrail.CfnTrail.EventSelectorProperty(
                    read_write_type="All",
                    include_management_events=True,
                    data_resources=[
                        cloudtrail.CfnTrail.DataResourceProperty(
                            type="AWS::S3::Object",
                            values=[f"{one.bucket_arn}/" for one in (storage.data, storage.models, storage.captures)],
                        )
                    ],
                )
            ],
        )
        assert self.bucket.policy is not None
        made.node.add_dependency(self.bucket.policy)


def _let_cloudtrail(bucket: s3.Bucket, key: kms.Key, stage: Stage, trail: str) -> None:
    """This trail, and no other account's, writes here and uses the key."""
    service = iam.ServicePrincipal("cloudtrail.amazonaws.com")
    here = {"aws:SourceArn": trail}
    bucket.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[service],
            actions=["s3:GetBucketAcl"],
            resources=[bucket.bucket_arn],
            conditions={"StringEquals": here},
        )
    )
    bucket.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[service],
            actions=["s3:PutObject"],
            resources=[bucket.arn_for_objects(f"AWSLogs/{stage.account}/*")],
            conditions={"StringEquals": {**here, "s3:x-amz-acl": "bucket-owner-full-control"}},
        )
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[service], actions=["kms:GenerateDataKey*"], resources=["*"], conditions={"StringEquals": here}
        )
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[service],
            actions=["kms:DescribeKey"],
            resources=["*"],
            conditions={"StringEquals": {"aws:SourceAccount": stage.account}},
        )
    )
