"""SageMaker's hosting contract over the service. `python -m chest_xray.inference.container serve` runs it."""
