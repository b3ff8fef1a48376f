"""What jobs need that outlives them: their log groups.

Jobs are made by `cxr train`, each with its own name; none of them stands here.
"""

from __future__ import annotations

from typing import Final

from constructs import Construct

from infrastructure.log_groups import log_group
from infrastructure.settings import Stage
from infrastructure.storage import Storage

_KINDS: Final = ("TrainingJobs", "ProcessingJobs", "TransformJobs")


class Training(Construct):
    """SageMaker's groups for jobs, made before SageMaker makes them without a key and for ever."""

    def __init__(self, scope: Construct, name: str, stage: Stage, storage: Storage) -> None:
        super().__init__(scope, name)
        for kind in _KINDS:
            log_group(self, f"{kind}LogGroup", stage, storage.key, f"/aws/sagemaker/{kind}")
