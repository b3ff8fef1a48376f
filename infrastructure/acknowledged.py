"""Findings of the rule packs that stay, each with its reason. None is about encryption, public access or logging."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Accept one rule's finding on one construct. A rule is named as the report names it, without its pack."""
    pack = "HIPAA.Security" if rule.startswith("HIPAA.Security-") else "AwsSolutions"
    Validations.of(construct).acknowledge(Acknowledgment(id=f"{pack}::{rule}", reason=reason))
