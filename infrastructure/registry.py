"""Where images and models are kept by name and version: ECR, the model package group, MLflow."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infrastructure.roles import allow, of_account, role
from infrastructure.settings import PROJECT, Stage
from infrastructure.storage import Storage


class Registry(Construct):
    """Images, packages and runs.

    Attributes:
        images: the repository of the train and serve images; a tag, once pushed, stays.
        tracking: the role that MLflow acts as.
    """

    def __init__(
        self, scope: Construct, name: str, stage: Stage, storage: Storage, boundary: iam.IManagedPolicy
    ) -> None:
        super().__init__(scope, name)
        self.images = self._images(storage)
        group = sagemaker.CfnModelPackageGroup(
            self,
            "Packages",
            model_package_group_name=PROJECT,
            model_package_group_description="Registered bundles; approval and life cycle by the promoter's role",
        )
        group.apply_removal_policy(RemovalPolicy.RETAIN)
        self.tracking = role(
            self,
            stage,
            "mlflow",
            of_account("sagemaker.amazonaws.com", stage),
            [
                allow(
                    ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
                    [stage.objects("models", "mlflow/")],
                    why="MLflow's own objects; it names them by run.",
                ),
                allow(["s3:ListBucket"], [storage.models.bucket_arn], {"StringLike": {"s3:prefix": "mlflow/*"}}),
                allow(["kms:Decrypt", "kms:GenerateDataKey"], [storage.key.key_arn]),
            ],
            boundary=boundary,
        )
        self._mlflow(storage)

    def _images(self, storage: Storage) -> ecr.Repository:
        return ecr.Repository(
            self,
            "Images",
            repository_name=PROJECT,
            encryption=ecr.RepositoryEncryption.KMS,
            encryption_key=storage.key,
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            lifecycle_rules=[
                ecr.LifecycleRule(
                    description="Layers without a name",
                    tag_status=ecr.TagStatus.UNTAGGED,
                    max_image_age=Duration.days(14),
                )
            ],
            removal_policy=RemovalPolicy.RETAIN,
        )

    def _mlflow(self, storage: Storage) -> None:
        """Registration is `cxr register`'s: MLflow would make a second package beside it."""
        mlflow = sagemaker.CfnMlflowApp(
            self,
            "Mlflow",
            name=PROJECT,
            artifact_store_uri=f"s3://{storage.models.bucket_name}/mlflow",
            role_arn=self.tracking.role_arn,
            model_registration_mode="AutoModelRegistrationDisabled",
        )
        mlflow.apply_removal_policy(RemovalPolicy.RETAIN)
