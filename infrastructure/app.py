"""The application: a stack for each stage, held to the rule packs. `make synth`, or `cdk deploy chest-xray-dev`.

    python -m infrastructure.app [--out FOLDER] [--mode cheap|private]

CDK's own command gives the mode as `-c mode=private`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks, HIPAASecurityChecks

from infrastructure.settings import StagesError, read_stages
from infrastructure.stack import StageStack

REPORT: Final = "validation-report.json"
# CDK's newer ways, where its default is an older one: S3's logger is let in by policy, not by ACL.
_FLAGS: Final = {"@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True}


def build(out: str | None = None, mode: str | None = None) -> App:
    """The application, not yet synthesized.

    Raises:
        StagesError: stages.toml says what cannot be made.
    """
    app = App(outdir=out, context=_FLAGS, analytics_reporting=False)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), HIPAASecurityChecks(app))
    for stage in read_stages(mode=mode or app.node.try_get_context("mode")):
        StageStack(app, stage)
    return app


def main() -> int:
    """Write the templates and name them; 1 where a rule pack found what nobody acknowledged."""
    parser = argparse.ArgumentParser(prog="python -m infrastructure.app", description="Write the templates.")
    parser.add_argument("--out", type=Path, help="folder of the templates; CDK's own choice where none is given")
    parser.add_argument("--mode", choices=("cheap", "private"), help="of all stages; each its own where none is given")
    given = parser.parse_args()
    try:
        app = build(None if given.out is None else str(given.out), given.mode)
    except StagesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        made = app.synth()
    except RuntimeError as error:
        if "ValidationFailed" not in str(error):
            raise
        print(f"error: the rule packs have findings: {Path(app.outdir) / REPORT}", file=sys.stderr)
        return 1
    for stack in made.stacks:
        size = len(json.loads(Path(stack.template_full_path).read_text(encoding="utf-8"))["Resources"])
        print(f"{stack.template_full_path}: {size} resources")
    return 0


if __name__ == "__main__":
    sys.exit(main())
