"""What endpoints need that outlives them: where an asynchronous answer is told, and where they log.

Models, configurations and endpoints are made by `cxr deploy`, one for each release; none of them stands here.
"""

from __future__ import annotations

from aws_cdk import aws_sns as sns
from constructs import Construct

from infrastructure.log_groups import log_group
from infrastructure.settings import OUTCOMES, PROJECT, Stage
from infrastructure.storage import Storage


class Serving(Construct):
    """Topics and the log group of the project's endpoint.

    Attributes:
        answered, failed: topics of asynchronous requests, by outcome; they carry places in S3, no image.
    """

    def __init__(self, scope: Construct, name: str, stage: Stage, storage: Storage) -> None:
        super().__init__(scope, name)
        self.answered, self.failed = (
            sns.Topic(
                self,
                outcome.title(),
                topic_name=stage.async_topic(outcome).rpartition(":")[2],
                master_key=storage.key,
                enforce_ssl=True,
            )
            for outcome in OUTCOMES
        )
        log_group(self, "LogGroup", stage, storage.key, f"/aws/sagemaker/Endpoints/{PROJECT}")
