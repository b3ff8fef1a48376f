"""Permissions, and roles that have them in managed policies: a wildcard stands only with its reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aws_cdk import aws_iam as iam
from constructs import Construct

from infrastructure.acknowledged import acknowledge
from infrastructure.settings import Stage

Conditions = Mapping[str, Mapping[str, Any]]

# AWS has no resource for these: https://docs.aws.amazon.com/service-authorization/latest/reference/
WITHOUT_RESOURCE: Final = frozenset(
    {
        "cloudwatch:PutMetricData", "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs", "ecr:GetAuthorizationToken",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Permission:
    """One statement of a policy.

    Attributes:
        why: the reason of the resources' wildcards, where they have any.
    """

    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Conditions | None = None
    why: str | None = None
    denied: bool = False

    def statement(self) -> iam.PolicyStatement:
        """As CDK has it."""
        return iam.PolicyStatement(
            effect=iam.Effect.DENY if self.denied else iam.Effect.ALLOW,
            actions=list(self.actions),
            resources=list(self.resources),
            conditions=self.conditions,
        )

    def reason(self, resource: str) -> str:
        """Why this resource has a wildcard.

        Raises:
            ValueError: nobody said so, or `*` stands where AWS knows resources.
        """
        if self.denied:
            return "A denial, of every resource."
        if resource == "*":
            if wide := sorted(set(self.actions) - WITHOUT_RESOURCE):
                raise ValueError(f"{', '.join(wide)} may be given on resources; name them instead of *.")
            return f"AWS has no resource for {', '.join(self.actions)}."
        if self.why is None:
            raise ValueError(f"{resource} has a wildcard; say why.")
        return self.why


def allow(
    actions: Sequence[str], resources: Sequence[str], conditions: Conditions | None = None, *, why: str | None = None
) -> Permission:
    """Let it do these on these."""
    return Permission(actions, resources, conditions, why)


def deny(actions: Sequence[str]) -> Permission:
    """Whatever another policy says, not these."""
    return Permission(actions, ["*"], denied=True)


def managed_policy(
    scope: Construct, title: str, name: str, permissions: Iterable[Permission], description: str | None = None
) -> iam.ManagedPolicy:
    """A policy, with its wildcards acknowledged by their reasons."""
    given = list(permissions)
    made = iam.ManagedPolicy(
        scope,
        title,
        managed_policy_name=name,
        description=description,
        statements=[permission.statement() for permission in given],
    )
    reasons: dict[str, list[str]] = defaultdict(list)
    for permission in given:
        for resource in permission.resources:
            if "*" in resource and (reason := permission.reason(resource)) not in reasons[resource]:
                reasons[resource].append(reason)
    for resource, found in reasons.items():
        acknowledge(made, f"AwsSolutions-IAM5[Resource::{resource}]", " ".join(found))
    return made


def role(
    scope: Construct,
    stage: Stage,
    purpose: str,
    principal: iam.IPrincipal,
    permissions: Iterable[Permission],
    *,
    boundary: iam.IManagedPolicy | None = None,
) -> iam.Role:
    """The role `PREFIX-purpose`, with one managed policy of the same name."""
    name = f"{stage.prefix}-{purpose}"
    title = purpose.title().replace("-", "")
    policy = managed_policy(scope, f"{title}Policy", name, permissions)
    return iam.Role(
        scope,
        f"{title}Role",
        role_name=name,
        assumed_by=principal,
        permissions_boundary=boundary,
        managed_policies=[policy],
    )


def of_account(service: str, stage: Stage) -> iam.ServicePrincipal:
    """A service that acts for this account's resources only."""
    return iam.ServicePrincipal(service, conditions={"StringEquals": {"aws:SourceAccount": stage.account}})
