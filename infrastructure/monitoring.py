"""What is watched and who is told: alarms, failed jobs, the month's cost, a dashboard, managed Prometheus."""

from __future__ import annotations

from typing import Final

from aws_cdk import (
    Duration,
)
from aws_cdk import (
    aws_aps as prometheus,
)
from aws_cdk import (
    aws_budgets as budgets,
)
from aws_cdk import (
    aws_cloudwatch as cloudwatch,
)
from aws_cdk import (
    aws_cloudwatch_actions as actions,
)
from aws_cdk import (
    aws_events as events,
)
from aws_cdk import (
    aws_events_targets as targets,
)
from aws_cdk import (
    aws_iam as iam,
)
from aws_cdk import (
    aws_sns as sns,
)
from aws_cdk import (
    aws_sns_subscriptions as subscriptions,
)
from constructs import Construct

from infrastructure.log_groups import log_group
from infrastructure.settings import PROJECT, Stage
from infrastructure.storage import Storage

_VARIANT: Final = "AllTraffic"


class Monitoring(Construct):
    """Alerts of the stage.

    Attributes:
        topic: where every alert goes; under the stage's key.
    """

    def __init__(self, scope: Construct, name: str, stage: Stage, storage: Storage) -> None:
        super().__init__(scope, name)
        self._stage = stage
        self.topic = sns.Topic(
            self, "Alerts", topic_name=f"{stage.prefix}-alerts", master_key=storage.key, enforce_ssl=True
        )
        self.topic.add_subscription(subscriptions.EmailSubscription(stage.alerts))
        self._let_services_publish()
        errors = self._metric("Invocation5XXErrors", "Sum")
        delay = self._metric("ModelLatency", "p99")
        self._alarm("Errors", errors, 5, "An endpoint fails: five answers in five minutes were errors of the server")
        # Microseconds.
        self._alarm("Latency", delay, 10_000_000, "An endpoint is slow: one answer in a hundred takes over ten seconds")
        self._tell_of_jobs()
        self._budget()
        board = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=stage.prefix)
        traffic = self._metric("Invocations", "Sum")
        cold = self._metric("OverheadLatency", "p99")
        board.add_widgets(
            cloudwatch.GraphWidget(title="Requests and errors", left=[traffic, errors], width=12),
            cloudwatch.GraphWidget(title="Latency, microseconds", left=[delay, cold], width=12),
        )
        self._prometheus(storage)

    def _metric(self, name: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/SageMaker",
            metric_name=name,
            dimensions_map={"EndpointName": PROJECT, "VariantName": _VARIANT},
            statistic=statistic,
            period=Duration.minutes(5),
        )

    def _alarm(self, name: str, metric: cloudwatch.Metric, threshold: float, text: str) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"{self._stage.prefix}-{name.lower()}",
            alarm_description=text,
            metric=metric,
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        alarm.add_ok_action(actions.SnsAction(self.topic))

    def _tell_of_jobs(self) -> None:
        """A job that failed, and a package whose state changed, are told in one line each."""
        self._rule(
            "FailedJobs",
            "SageMaker Training Job State Change",
            {"TrainingJobStatus": ["Failed"]},
            "Training job {job} failed: {why}",
            job="$.detail.TrainingJobName",
            why="$.detail.FailureReason",
        )
        self._rule(
            "Packages",
            "SageMaker Model Package State Change",
            {"ModelPackageGroupName": [PROJECT]},
            "Version {version} of the model is now {state}",
            version="$.detail.ModelPackageVersion",
            state="$.detail.ModelApprovalStatus",
        )

    def _rule(self, name: str, kind: str, detail: dict[str, list[str]], text: str, **paths: str) -> None:
        for key, path in paths.items():
            text = text.replace(f"{{{key}}}", events.EventField.from_path(path))
        events.Rule(
            self,
            name,
            event_pattern=events.EventPattern(source=["aws.sagemaker"], detail_type=[kind], detail=detail),
            targets=[targets.SnsTopic(self.topic, message=events.RuleTargetInput.from_text(text))],
        )

    def _let_services_publish(self) -> None:
        for service in ("cloudwatch.amazonaws.com", "budgets.amazonaws.com"):
            self.topic.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal(service)],
                    actions=["sns:Publish"],
                    resources=[self.topic.topic_arn],
                    conditions={"StringEquals": {"aws:SourceAccount": self._stage.account}},
                )
            )

    def _budget(self) -> None:
        """The month's cost: told at 80% and 100%, and where 100% is forecast."""
        subscriber = budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=self.topic.topic_arn)
        told = [
            budgets.CfnBudget.NotificationWithSubscribersProperty(
                notification=budgets.CfnBudget.NotificationProperty(
                    notification_type=kind,
                    comparison_operator="GREATER_THAN",
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                ),
                subscribers=[subscriber],
            )
            for kind, percent in (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
        ]
        budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=self._stage.prefix,
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=self._stage.budget_usd, unit="USD"),
            ),
            notifications_with_subscribers=told,
        )

    def _prometheus(self, storage: Storage) -> None:
        group = log_group(
            self, "PrometheusLogGroup", self._stage, storage.key, f"/aws/vendedlogs/{self._stage.prefix}/prometheus"
        )
        prometheus.CfnWorkspace(
            self,
            "Prometheus",
            alias=self._stage.prefix,
            kms_key_arn=storage.key.key_arn,
            logging_configuration=prometheus.CfnWorkspace.LoggingConfigurationProperty(log_group_arn=group.attr_arn),
        )
