"""Print the JSON schema of evaluation.json: `python -m chest_xray.training.report > docs/evaluation.schema.json`."""

import sys

from chest_xray.training.report.schema import evaluation_schema

if __name__ == "__main__":
    sys.stdout.write(evaluation_schema())
