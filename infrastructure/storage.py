"""Buckets for data, models, captured requests and access logs, and the key that encrypts them."""

from __future__ import annotations

from typing import Final

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infrastructure.acknowledged import acknowledge
from infrastructure.settings import PROJECT, Stage

# Services that write to the topic of alerts under the key, for this account only.
_SERVICES: Final = ("cloudwatch.amazonaws.com", "budgets.amazonaws.com")


class Storage(Construct):
    """The stage's data at rest.

    Attributes:
        key: encrypts all that the stage stores; rotates every year.
        access_logs: S3's own log of the other buckets.
        data: what jobs read and write; CXR_SAGEMAKER_BUCKET.
        models: registered bundles.
        captures: requests and answers of endpoints; they hold images.
    """

    def __init__(self, scope: Construct, name: str, stage: Stage) -> None:
        super().__init__(scope, name)
        self._stage = stage
        self.key = self._key()
        self.access_logs = self.bucket(
            "AccessLogs",
            "access-logs",
            rules=[s3.LifecycleRule(expiration=Duration.days(stage.log_days))],
            logged=False,
        )
        self.data = self.bucket("Data", "data", rules=self._archived())
        self.models = self.bucket("Models", "models", rules=self._kept())
        self.captures = self.bucket(
            "Captures", "captures", rules=[s3.LifecycleRule(expiration=Duration.days(stage.capture_days))]
        )

    def bucket(
        self,
        name: str,
        purpose: str,
        *,
        rules: list[s3.LifecycleRule],
        logged: bool = True,
        locked: bool = False,
    ) -> s3.Bucket:
        """A bucket as every one of them is: under the key, TLS only, versioned, closed, logged and kept."""
        retain = getattr(s3.ObjectLockRetention, self._stage.trail_lock)
        tidy = s3.LifecycleRule(
            abort_incomplete_multipart_upload_after=Duration.days(7),
            noncurrent_version_expiration=Duration.days(self._stage.raw_days),
        )
        made = s3.Bucket(
            self,
            name,
            bucket_name=self._stage.bucket(purpose),
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            server_access_logs_bucket=self.access_logs if logged else None,
            server_access_logs_prefix=f"{purpose}/" if logged else None,
            lifecycle_rules=[tidy, *rules],
            object_lock_default_retention=retain(Duration.days(self._stage.log_days)) if locked else None,
            removal_policy=RemovalPolicy.RETAIN,
        )
        if logged:
            self._refuse_other_keys(made)
        acknowledge(
            made,
            "HIPAA.Security-S3BucketReplicationEnabled",
            "Versions and retention guard against deletion in one region, and the data set can be fetched anew. "
            "Who needs a second region adds replication with a key there.",
        )
        return made

    def _refuse_other_keys(self, bucket: s3.Bucket) -> None:
        """Deny an upload that asks for another encryption or key; one that asks for nothing gets the bucket's."""
        wanted = {
            "s3:x-amz-server-side-encryption": "aws:kms",
            "s3:x-amz-server-side-encryption-aws-kms-key-id": self.key.key_arn,
        }
        for header, value in wanted.items():
            bucket.add_to_resource_policy(
                iam.PolicyStatement(
                    effect=iam.Effect.DENY,
                    principals=[iam.AnyPrincipal()],
                    actions=["s3:PutObject"],
                    resources=[bucket.arn_for_objects("*")],
                    conditions={"StringNotEquals": {header: value}, "Null": {header: "false"}},
                )
            )

    def _key(self) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            alias=f"alias/{self._stage.prefix}",
            description=f"Data at rest of {self._stage.prefix}",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        here = {"StringEquals": {"aws:SourceAccount": self._stage.account}}
        for service in _SERVICES:
            key.add_to_resource_policy(_use(service, here, "kms:Decrypt", "kms:GenerateDataKey*"))
        # EventBridge names no source account when it writes to a topic under a key.
        key.add_to_resource_policy(_use("events.amazonaws.com", {}, "kms:Decrypt", "kms:GenerateDataKey*"))
        groups = self._stage.arn("logs", "log-group:*")
        key.add_to_resource_policy(
            _use(
                f"logs.{self._stage.region}.amazonaws.com",
                {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
                *("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"),
            )
        )
        return key

    def _archived(self) -> list[s3.LifecycleRule]:
        """Data moves to the tier of its use at once; what runs left behind goes to Glacier and ends."""
        return [
            _moved(0, s3.StorageClass.INTELLIGENT_TIERING, f"{PROJECT}/data/"),
            *(
                s3.LifecycleRule(
                    prefix=f"{PROJECT}/{folder}/",
                    transitions=[
                        s3.Transition(
                            storage_class=s3.StorageClass.GLACIER_INSTANT_RETRIEVAL, transition_after=Duration.days(90)
                        )
                    ],
                    expiration=Duration.days(max(self._stage.raw_days, 180)),
                )
                for folder in ("jobs", "checkpoints")
            ),
        ]

    def _kept(self) -> list[s3.LifecycleRule]:
        """Models are never deleted by age: a decision may be questioned years later."""
        return [_moved(30, s3.StorageClass.INTELLIGENT_TIERING)]


def _moved(days: int, to: s3.StorageClass, prefix: str | None = None) -> s3.LifecycleRule:
    moves = [s3.Transition(storage_class=to, transition_after=Duration.days(days))]
    return s3.LifecycleRule(prefix=prefix, transitions=moves)


def _use(service: str, conditions: dict[str, dict[str, str]], *actions: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        principals=[iam.ServicePrincipal(service)], actions=list(actions), resources=["*"], conditions=conditions
    )
