"""Print the JSON schema of evaluation.json: `python -m chest_xray.evaluation.results > docs/evaluation.schema.json`."""

import sys

from chest_xray.evaluation.results.schema import evaluation_schema

if __name__ == "__main__":
    sys.stdout.write(evaluation_schema())
