"""Ways from a job's subnets to the services that it needs.

SageMaker's network interfaces have no public address, so an internet gateway is no way out: a NAT gateway (or another
device behind the default route) is, or an endpoint of the VPC for each service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chest_xray.backends.sagemaker.aws import was_denied
from chest_xray.console import say
from chest_xray.errors import CloudError, SettingsError

if TYPE_CHECKING:
    from chest_xray.backends.sagemaker.aws import Aws
    from chest_xray.settings import JobSettings

_SERVICES = ("s3", "ecr.api", "ecr.dkr", "logs", "sts", "sagemaker.api")
_WAYS_OUT = ("NatGatewayId", "TransitGatewayId", "NetworkInterfaceId", "InstanceId", "VpcPeeringConnectionId")


def check_network(aws: Aws, settings: JobSettings) -> tuple[str, str]:
    """Each subnet reaches each service, where a VPC is set."""
    if not settings.subnets:
        return "no VPC set: jobs run in SageMaker's own", ""
    missing = missing_ways(aws, settings)
    if not missing:
        return f"{', '.join(settings.subnets)}: every service is reached", ""
    found = "; ".join(f"{subnet} does not reach {', '.join(names)}" for subnet, names in missing.items())
    return found, f"Create endpoints of the VPC (com.amazonaws.{aws.region}.NAME), or a NAT gateway."


def require_network(aws: Aws, settings: JobSettings) -> None:
    """Refuse subnets from which a job would hang. Who may not look goes on, with a word.

    Raises:
        SettingsError: a service is not reached.
    """
    try:
        found, cure = check_network(aws, settings)
    except CloudError as error:
        if not was_denied(error):
            raise
        say(f"Whether the subnets reach SageMaker's services was not looked up: {error}")
        return
    if cure:
        raise SettingsError(f"{found}. {cure}")


def missing_ways(aws: Aws, settings: JobSettings) -> dict[str, list[str]]:
    """Services that cannot be reached, by subnet; subnets that reach all are left out."""
    services = [*_SERVICES, *(["kms"] if settings.kms_key else [])]
    subnets = aws.call("ec2", "describe_subnets", SubnetIds=list(settings.subnets))["Subnets"]
    missing = {}
    for vpc in sorted({subnet["VpcId"] for subnet in subnets}):
        of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
        tables = aws.call("ec2", "describe_route_tables", Filters=of_vpc)["RouteTables"]
        endpoints = aws.call("ec2", "describe_vpc_endpoints", Filters=of_vpc)["VpcEndpoints"]
        for subnet in (subnet for subnet in subnets if subnet["VpcId"] == vpc):
            table = _table_of(subnet["SubnetId"], tables)
            reached = {_service(item, aws.region) for item in endpoints if _serves(item, table)}
            if not _has_way_out(table) and (left := [name for name in services if name not in reached]):
                missing[subnet["SubnetId"]] = left
    return missing


def _table_of(subnet: str, tables: list[dict[str, Any]]) -> dict[str, Any]:
    """The subnet's own route table, or else the VPC's main one."""
    main: dict[str, Any] = {}
    for table in tables:
        for association in table.get("Associations", ()):
            if association.get("SubnetId") == subnet:
                return table
            if association.get("Main"):
                main = table
    return main


def _has_way_out(table: dict[str, Any]) -> bool:
    return any(
        route.get("DestinationCidrBlock") == "0.0.0.0/0" and any(route.get(way) for way in _WAYS_OUT)
        for route in table.get("Routes", ())
    )


def _serves(endpoint: dict[str, Any], table: dict[str, Any]) -> bool:
    if str(endpoint.get("State", "available")).lower() != "available":
        return False
    if endpoint.get("VpcEndpointType") == "Gateway":
        return table.get("RouteTableId") in endpoint.get("RouteTableIds", ())
    # Without private DNS the service's usual name still leads out of the VPC.
    return bool(endpoint.get("PrivateDnsEnabled", True))


def _service(endpoint: dict[str, Any], region: str) -> str:
    return str(endpoint["ServiceName"]).removeprefix(f"com.amazonaws.{region}.")
