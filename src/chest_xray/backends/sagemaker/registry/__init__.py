"""The model registry on SageMaker: package groups, packages, and what lies beside them in S3."""
