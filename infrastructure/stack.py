"""A stage: the constructs, composed."""

from __future__ import annotations

from aws_cdk import CfnOutput, Environment, Stack, Tags
from constructs import Construct

from infrastructure.audit import Audit
from infrastructure.identity import Identity
from infrastructure.monitoring import Monitoring
from infrastructure.network import Network
from infrastructure.registry import Registry
from infrastructure.serving import Serving
from infrastructure.settings import PROJECT, Stage
from infrastructure.storage import Storage
from infrastructure.training import Training


class StageStack(Stack):
    """All that one stage keeps in its account."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(
            scope,
            stage.prefix,
            env=Environment(account=stage.account, region=stage.region),
            description=f"{PROJECT}: {stage.name}, {stage.mode}",
            termination_protection=stage.name == "prod",
        )
        storage = Storage(self, "Storage", stage)
        network = Network(self, "Network", stage, storage) if stage.mode == "private" else None
        identity = Identity(self, "Identity", stage, storage)
        registry = Registry(self, "Registry", stage, storage, identity.boundary)
        Audit(self, "Audit", stage, storage)
        Monitoring(self, "Monitoring", stage, storage)
        Serving(self, "Serving", stage, storage)
        Training(self, "Training", stage, storage)
        for key, value in {"project": PROJECT, "stage": stage.name, "mode": stage.mode}.items():
            Tags.of(self).add(key, value)
        self._tell(storage, network, identity, registry)

    def _tell(self, storage: Storage, network: Network | None, identity: Identity, registry: Registry) -> None:
        """What `cxr` is told of it, under the names of its variables."""
        told = {
            "Bucket": storage.data.bucket_name,
            "KmsKey": storage.key.key_arn,
            "Role": identity.training.role_arn,
            "Image": f"{registry.images.repository_uri}:train",
            "Region": self.region,
        }
        if network is not None:
            subnets = [subnet.subnet_id for subnet in network.vpc.isolated_subnets]
            told |= {"Subnets": ",".join(subnets), "SecurityGroups": network.workloads.security_group_id}
        for name, value in told.items():
            CfnOutput(self, f"CxrSagemaker{name}", value=value)
