"""`cxr compress`, and the option of `cxr deploy` that takes what it made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chest_xray.bundle import Variant
from chest_xray.cli.options import Json, Rounds, data_option
from chest_xray.console import print_json, say
from chest_xray.statistics import ROUNDS

DeployVariant = Annotated[
    Variant | None, typer.Option("--variant", help="A compressed graph in the version's bundle, from compress.")
]


def compress(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle, from export.")],
    data: Annotated[Path, data_option("The shards of its training.")],
    output: Annotated[
        Path | None, typer.Option(help="New folder for the bundle with its variant; by default BUNDLE-METHOD.")
    ] = None,
    method: Annotated[
        Variant, typer.Option(help="int8 by ONNX Runtime; bf16 and fp16 by OpenVINO, where the processor has them.")
    ] = "int8",
    rounds: Rounds = ROUNDS,
    json: Json = False,
) -> None:
    """Make a smaller, faster graph of a bundle; it is written only if it keeps AUROC and heat maps.

    Example: cxr compress runs/first/bundle --data data/shards --output runs/first/bundle-int8
    """
    from chest_xray.export.compress.compress import compress as run

    target = output or bundle.with_name(f"{bundle.resolve().name}-{method}")
    done = run(bundle, data, target, method=method, rounds=rounds)
    if json:
        print_json(
            {"bundle": str(target), "digest": done.bundle.digest, "variant": method}
            | {"variant_digest": done.variant.digest, "report": done.report.model_dump(mode="json")}
        )
    say(f"Bundle {done.bundle.digest[:12]}: {target}. Register it, and deploy with `--variant {method}`.")
