"""Who may do what: a role for each kind of work, the role of GitHub's workflows, and the boundary of them all.

Who trains cannot promote: no job's role may change a model package, and only the promoter's may set a life-cycle stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aws_cdk import aws_iam as iam
from constructs import Construct

from infrastructure.roles import Permission, allow, deny, managed_policy, of_account, role
from infrastructure.settings import OUTCOMES, PROJECT, Stage
from infrastructure.storage import Storage

_GITHUB: Final = "token.actions.githubusercontent.com"
_LIFE_CYCLE: Final = ["sagemaker:UpdateModelPackage"]
_OBJECTS: Final = "Objects below one prefix of one bucket; runs and requests name them."
_INVOKE: Final = ["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync", "sagemaker:DescribeEndpoint"]
# What SageMaker's role needs for network interfaces in a VPC; describing has no resource.
_DESCRIBE: Final = [
    "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
]  # fmt: skip
_INTERFACES: Final = [
    "ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
]  # fmt: skip


class Identity(Construct):
    """The stage's roles.

    Attributes:
        boundary: what no role of the stage exceeds, whatever is attached to it later.
        training, processing, monitor, serving: of SageMaker's jobs and endpoints; the first is CXR_SAGEMAKER_ROLE.
        wrapper: of the API in front of an endpoint.
        promoter: moves a model through its life cycle.
        github: of the workflows' jobs in this stage's environment.
    """

    def __init__(self, scope: Construct, name: str, stage: Stage, storage: Storage) -> None:
        super().__init__(scope, name)
        self._stage, self._storage = stage, storage
        self.boundary = self._boundary()
        work, models, captures = (
            stage.objects("data", f"{PROJECT}/"),
            stage.objects("models"),
            stage.objects("captures"),
        )
        requests = stage.objects("captures", f"{PROJECT}/")
        data, taken = storage.data.bucket_arn, storage.captures.bucket_arn
        self.training = self._job("training", reads=[work], writes=[work], lists=[data])
        self.processing = self._job("processing", reads=[work], writes=[work], lists=[data])
        self.monitor = self._job(
            "monitor", reads=[captures, models], writes=[stage.objects("captures", "reports/")], lists=[taken]
        )
        self.serving = self._job(
            "serving",
            reads=[models, requests],
            writes=[requests],
            lists=[storage.models.bucket_arn],
            tells=[stage.async_topic(outcome) for outcome in OUTCOMES],
        )
        self.wrapper = self._wrapper()
        self.promoter = self._promoter()
        self.github = self._github()

    def _job(
        self, purpose: str, *, reads: list[str], writes: list[str], lists: list[str], tells: Sequence[str] = ()
    ) -> iam.Role:
        """A role that SageMaker assumes, for this account's work only."""
        return self._made(
            purpose,
            of_account("sagemaker.amazonaws.com", self._stage),
            [
                allow(["s3:GetObject"], reads, why=_OBJECTS),
                allow(["s3:PutObject", "s3:AbortMultipartUpload"], writes, why=_OBJECTS),
                allow(["s3:ListBucket"], lists),
                *([allow(["sns:Publish"], tells)] if tells else []),
                *self._basics(),
                deny(_LIFE_CYCLE),
            ],
        )

    def _basics(self) -> list[Permission]:
        """What every job does: pull its image, log, count, use the key and, in a VPC, network interfaces."""
        stage = self._stage
        groups = stage.arn("logs", "log-group:/aws/sagemaker/*")
        statements = [
            allow(["ecr:GetAuthorizationToken"], ["*"]),
            allow(
                ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
                [stage.arn("ecr", f"repository/{PROJECT}")],
            ),
            allow(
                ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                [groups],
                why="Groups of SageMaker; streams are named by job and host.",
            ),
            allow(
                ["cloudwatch:PutMetricData"],
                ["*"],
                {"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", PROJECT]}},
            ),
            allow(["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"], [self._storage.key.key_arn]),
            allow(["kms:CreateGrant"], [self._storage.key.key_arn], {"Bool": {"kms:GrantIsForAWSResource": "true"}}),
        ]
        if stage.mode == "private":
            kinds = ("network-interface", "subnet", "security-group")
            statements += [
                allow(_DESCRIBE, ["*"]),
                allow(
                    _INTERFACES,
                    [stage.arn("ec2", f"{kind}/*") for kind in kinds],
                    why="SageMaker makes the interfaces in the subnets and groups that a request names.",
                ),
            ]
        return statements

    def _wrapper(self) -> iam.Role:
        stage = self._stage
        return self._made(
            "wrapper",
            iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            [
                allow(
                    _INVOKE,
                    [stage.arn("sagemaker", f"endpoint/{PROJECT}*")],
                    why="Endpoints of the project, whose names begin so.",
                ),
                allow(["s3:PutObject", "s3:GetObject"], [stage.objects("captures", f"{PROJECT}/")], why=_OBJECTS),
                allow(["kms:Decrypt", "kms:GenerateDataKey"], [self._storage.key.key_arn]),
            ],
        )

    def _promoter(self) -> iam.Role:
        """People assume it with a second factor. It moves packages to a stage, and cannot make one."""
        stage = self._stage
        return self._made(
            "promoter",
            iam.AccountPrincipal(stage.account).with_conditions({"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
            [
                allow(
                    _LIFE_CYCLE,
                    [stage.arn("sagemaker", f"model-package/{PROJECT}/*")],
                    {"StringEquals": {"sagemaker:ModelLifeCycle:stage": ["Staging", "Production", "Archived"]}},
                    why="Versions of the one group; their numbers grow.",
                ),
                allow(
                    ["sagemaker:DescribeModelPackage"],
                    [stage.arn("sagemaker", f"model-package/{PROJECT}/*")],
                    why="Versions of the one group.",
                ),
                allow(["sagemaker:ListModelPackages"], [stage.arn("sagemaker", f"model-package-group/{PROJECT}")]),
                deny(["sagemaker:CreateModelPackage", "sagemaker:CreateTrainingJob"]),
            ],
        )

    def _github(self) -> iam.Role:
        """Workflows deploy through CDK's own roles and push images; they hold no key of long life."""
        stage = self._stage
        provider = iam.CfnOIDCProvider(self, "GitHub", url=f"https://{_GITHUB}", client_id_list=["sts.amazonaws.com"])
        claims = {
            f"{_GITHUB}:aud": "sts.amazonaws.com",
            f"{_GITHUB}:sub": stage.github.subjects(stage.name),
        }
        bootstrapped = [
            f"arn:aws:iam::{stage.account}:role/cdk-hnb659fds-{kind}-role-{stage.account}-{stage.region}"
            for kind in ("deploy", "file-publishing", "image-publishing", "lookup")
        ]
        repository = stage.arn("ecr", f"repository/{PROJECT}")
        return self._made(
            "github",
            iam.WebIdentityPrincipal(provider.attr_arn, {"StringEquals": claims}),
            [
                allow(["sts:AssumeRole"], bootstrapped),
                allow(["ecr:GetAuthorizationToken"], ["*"]),
                allow(
                    [
                        "ecr:BatchCheckLayerAvailability",
                        "ecr:BatchGetImage",
                        "ecr:CompleteLayerUpload",
                        "ecr:DescribeImageScanFindings",
                        "ecr:DescribeImages",
                        "ecr:GetDownloadUrlForLayer",
                        "ecr:InitiateLayerUpload",
                        "ecr:PutImage",
                        "ecr:UploadLayerPart",
                    ],
                    [repository],
                ),
                allow(
                    ["sagemaker:StartPipelineExecution", "sagemaker:DescribePipelineExecution"],
                    [stage.arn("sagemaker", f"pipeline/{PROJECT}*")],
                    why="Pipelines of the project and their executions.",
                ),
                deny(_LIFE_CYCLE),
            ],
            bounded=False,
        )

    def _made(
        self,
        purpose: str,
        principal: iam.IPrincipal,
        permissions: Sequence[Permission],
        *,
        bounded: bool = True,
    ) -> iam.Role:
        return role(self, self._stage, purpose, principal, permissions, boundary=self.boundary if bounded else None)

    def _boundary(self) -> iam.ManagedPolicy:
        """No role touches identities, policies of keys or the trail, or what is not this project's."""
        stage = self._stage
        endpoints, packages = (stage.arn("sagemaker", f"{kind}/{PROJECT}*") for kind in ("endpoint", "model-package"))
        groups = stage.arn("sagemaker", f"model-package-group/{PROJECT}")
        return managed_policy(
            self,
            "Boundary",
            f"{stage.prefix}-boundary",
            [
                allow(
                    ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListBucket"],
                    [f"arn:aws:s3:::{stage.prefix}-*"],
                    why="A boundary gives nothing; the stage's buckets begin so.",
                ),
                allow(_INVOKE, [endpoints], why="A boundary gives nothing; the project's endpoints begin so."),
                allow(
                    [*_LIFE_CYCLE, "sagemaker:DescribeModelPackage"],
                    [packages],
                    why="A boundary gives nothing; the one group's versions begin so.",
                ),
                allow(["sagemaker:ListModelPackages"], [groups]),
                allow(["sns:Publish"], [stage.async_topic(outcome) for outcome in OUTCOMES]),
                *self._basics(),
            ],
            description=f"What no role of {stage.prefix} exceeds",
        )
