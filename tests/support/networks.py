"""Virtual networks in the emulator."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.emulators import client


@dataclass(frozen=True, slots=True)
class Network:
    """A VPC of one subnet, from which nothing is reached at first."""

    vpc: str
    subnet: str
    group: str
    table: str

    @classmethod
    def create(cls) -> Network:
        ec2 = client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName="jobs", Description="jobs", VpcId=vpc)["GroupId"]
        tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
        return cls(vpc, subnet, group, tables[0]["RouteTableId"])

    def add_internet_gateway(self) -> None:
        ec2 = client("ec2")
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        ec2.create_route(RouteTableId=self.table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)

    def add_nat_gateway(self) -> None:
        ec2 = client("ec2")
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        gateway = ec2.create_nat_gateway(SubnetId=self.subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
        ec2.create_route(RouteTableId=self.table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway)

    def add_endpoints(self, *services: str) -> None:
        for service in services:
            name = f"com.amazonaws.us-east-1.{service}"
            if service == "s3":
                how = {"VpcEndpointType": "Gateway", "RouteTableIds": [self.table]}
            else:
                how = {"VpcEndpointType": "Interface", "SubnetIds": [self.subnet], "PrivateDnsEnabled": True}
            client("ec2").create_vpc_endpoint(VpcId=self.vpc, ServiceName=name, **how)
