"""The JSON schema of evaluation.json, made from the types."""

from __future__ import annotations

import json

from chest_xray.evaluation.results.evaluation import Evaluation


def evaluation_schema() -> str:
    """The schema as text, keys in the order of the fields; docs/evaluation.schema.json holds it."""
    schema = Evaluation.model_json_schema(mode="serialization")
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "cxr-evaluation/1"} | schema
    return json.dumps(document, indent=2) + "\n"
