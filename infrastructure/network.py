"""A VPC without a way out: isolated subnets, and an endpoint for each service that jobs and endpoints call."""

from __future__ import annotations

from typing import Final

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from infrastructure.acknowledged import acknowledge
from infrastructure.log_groups import log_group
from infrastructure.roles import allow, role
from infrastructure.settings import Stage
from infrastructure.storage import Storage

_SERVICES: Final = {
    "EcrApi": "ecr.api",
    "EcrDocker": "ecr.dkr",
    "Logs": "logs",
    "Metrics": "monitoring",
    "Kms": "kms",
    "Sts": "sts",
    "SageMakerApi": "sagemaker.api",
    "SageMakerRuntime": "sagemaker.runtime",
}


class Network(Construct):
    """Where jobs and endpoints of the private mode run.

    Attributes:
        vpc: its isolated subnets are CXR_SAGEMAKER_SUBNETS.
        workloads: the group of jobs and endpoints, CXR_SAGEMAKER_SECURITY_GROUPS.
    """

    def __init__(self, scope: Construct, name: str, stage: Stage, storage: Storage) -> None:
        super().__init__(scope, name)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            vpc_name=stage.prefix,
            ip_addresses=ec2.IpAddresses.cidr("10.20.0.0/16"),
            availability_zones=list(stage.zones),
            nat_gateways=0,
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=20)
            ],
        )
        acknowledge(
            self.vpc,
            "HIPAA.Security-VPCDefaultSecurityGroupClosed",
            "Nothing uses the default group: every interface names its own. CloudFormation cannot edit the default "
            "group, and a Lambda function that may edit groups would be a wider permission than what it closes.",
        )
        self.workloads = ec2.SecurityGroup(
            self,
            "Workloads",
            vpc=self.vpc,
            description="Jobs and endpoints: they call the VPC endpoints and S3, nobody calls them",
            allow_all_outbound=False,
        )
        self.endpoints = ec2.SecurityGroup(
            self,
            "Endpoints",
            vpc=self.vpc,
            description="VPC endpoints: HTTPS from the workloads",
            allow_all_outbound=False,
        )
        self.endpoints.add_ingress_rule(self.workloads, ec2.Port.tcp(443), "HTTPS from the workloads")
        self.workloads.add_egress_rule(self.endpoints, ec2.Port.tcp(443), "HTTPS to the services")
        self._reach_s3(stage)
        for title, service in _SERVICES.items():
            self._reach(title, service, stage)
        self._log_flows(stage, storage)

    def _reach(self, title: str, service: str, stage: Stage) -> None:
        """An interface endpoint; through it only this account's principals act."""
        endpoint = self.vpc.add_interface_endpoint(
            title,
            service=ec2.InterfaceVpcEndpointService(f"com.amazonaws.{stage.region}.{service}"),
            private_dns_enabled=True,
            security_groups=[self.endpoints],
            open=False,
        )
        endpoint.add_to_policy(
            iam.PolicyStatement(
                principals=[iam.AnyPrincipal()],
                actions=[f"{_prefix(service)}:*"],
                resources=["*"],
                conditions={"StringEquals": {"aws:PrincipalAccount": stage.account}},
            )
        )

    def _reach_s3(self, stage: Stage) -> None:
        """A gateway for S3 to this account's buckets and the one that ECR keeps layers in."""
        gateway = self.vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        for conditions, resources, actions in (
            ({"StringEquals": {"aws:ResourceAccount": stage.account}}, ["arn:aws:s3:::*"], ["s3:*"]),
            ({}, [f"arn:aws:s3:::prod-{stage.region}-starport-layer-bucket/*"], ["s3:GetObject"]),
        ):
            gateway.add_to_policy(
                iam.PolicyStatement(
                    principals=[iam.AnyPrincipal()], actions=actions, resources=resources, conditions=conditions
                )
            )
        # The gateway's addresses are public ones; no route leads to any other public address.
        self.workloads.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "HTTPS to the S3 gateway")

    def _log_flows(self, stage: Stage, storage: Storage) -> None:
        name = f"/{stage.prefix}/vpc-flows"
        group = log_group(self, "FlowLogGroup", stage, storage.key, name)
        writer = role(
            self,
            stage,
            "vpc-flows",
            iam.ServicePrincipal("vpc-flow-logs.amazonaws.com"),
            [
                allow(
                    ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                    [stage.arn("logs", f"log-group:{name}:*")],
                    why="Streams of one group; AWS names them by network interface.",
                )
            ],
        )
        flows = ec2.CfnFlowLog(
            self,
            "Flows",
            resource_id=self.vpc.vpc_id,
            resource_type="VPC",
            traffic_type="ALL",
            log_group_name=name,
            deliver_logs_permission_arn=writer.role_arn,
        )
        flows.node.add_dependency(group)


def _prefix(service: str) -> str:
    """What IAM calls the service behind an endpoint."""
    return {"monitoring": "cloudwatch"}.get(service, service.split(".", maxsplit=1)[0])
