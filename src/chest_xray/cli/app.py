"""`cxr`: one command per step, in the order of the flow. Heavy libraries are imported by the step that needs them."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import chest_xray
from chest_xray.backends import get_backend
from chest_xray.cli.compress import DeployVariant, compress
from chest_xray.cli.evaluate import evaluate
from chest_xray.cli.keys import keys
from chest_xray.cli.monitor import monitor
from chest_xray.cli.options import Json, options_from
from chest_xray.cli.compare import Force, TestData, compare
from chest_xray.cli.robustness import robustness
from chest_xray.cli.test_time import ensemble, measure_options
from chest_xray.console import print_json, say
from chest_xray.errors import ChestXrayError, NotDeployedError
from chest_xray.files import DISK_FULL
from chest_xray.findings import RESEARCH_USE_ONLY
from chest_xray.settings import load_settings
from chest_xray.training.config import TrainConfig
from chest_xray.export.footprint import Rates

if TYPE_CHECKING:
    from chest_xray.backends.base import ApprovalStatus, ModelVersion

DEFAULT_MODEL = "chest-xray"

app = typer.Typer(
    name="cxr",
    help=f"From a folder of chest radiographs to a monitored endpoint. {RESEARCH_USE_ONLY}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(monitor, name="monitor")
app.add_typer(keys, name="keys")

Data = Annotated[Path, typer.Option("--data", help="Folder of shards, from prepare-data.")]
Run = Annotated[Path, typer.Option("--run", help="Folder of a training run.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes; by default one a CPU.")]
ModelName = Annotated[str, typer.Option("--model-name", help="Name in the registry.")]


def _user() -> str:
    """The user's name, or number where a container has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


ModelArgument = Annotated[str, typer.Argument(metavar="MODEL_NAME", help="Name in the registry.")]
Version = Annotated[int, typer.Option("--version", min=1, help="Version in the registry.")]
By = Annotated[str, typer.Option("--by", help="Who does this, for the record.", default_factory=_user)]
EndpointName = Annotated[str, typer.Option("--endpoint", help="Name of the endpoint.")]


@app.command()
def phantom(
    output: Annotated[Path, typer.Argument(help="New folder in NIH format.")],
    images: Annotated[int, typer.Option(min=1, help="Films in all.")] = 4000,
    size: Annotated[int, typer.Option(help="Side of a film in pixels, 128 to 1024.")] = 512,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other patients.")] = 0,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Draw a synthetic NIH-format folder: no download, no patient.

    Example: cxr phantom data/phantom --images 4000 --size 512
    """
    from chest_xray.data.phantom import write_phantom

    report = write_phantom(output, images=images, size=size, seed=seed, workers=workers)
    if json:
        print_json(asdict(report) | {"output": str(report.output)})
    elif report.drawn:
        say(f"Drew {report.images} phantom films of {report.patients} patients: {output}")
    else:
        say(f"{output} holds this phantom already: nothing to do.")


@app.command()
def download_nih(
    directory: Annotated[Path, typer.Argument(help="Folder for the archives; needs 42 GB.")],
    json: Json = False,
) -> None:
    """Fetch the 12 archives of NIH ChestX-ray14, or go on where a download stopped.

    Example: cxr download-nih data/nih
    """
    from chest_xray.data.download import download_nih as fetch

    report = fetch(directory)
    if json:
        print_json(asdict(report) | {"directory": str(directory)})


@app.command()
def prepare_data(
    source: Annotated[Path, typer.Option(help="NIH-format folder, unpacked or with its archives.")],
    output: Annotated[Path, typer.Option(help="Folder for shards and index.")],
    image_size: Annotated[int, typer.Option(help="Side of the stored images; the network takes the same.")] = 256,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Decode and resize every film once, into shards that training reads without decoding.

    Example: cxr prepare-data --source data/nih --output data/shards --image-size 256
    """
    from chest_xray.data.prepare.prepare import prepare_data as prepare

    report = prepare(source, output, image_size=image_size, workers=workers)
    if json:
        print_json(asdict(report) | {"output": str(report.output)})
    else:
        counts = ", ".join(f"{count} {split}" for split, count in report.splits.items())
        rejected = f"{report.rejected} rejected (see {output / 'rejected.csv'})" if report.rejected else "none rejected"
        say(f"{output}: {counts}; {rejected}, {report.absent} absent.")


@app.command()
@options_from(TrainConfig, "config")
def train(
    data: Data,
    output: Annotated[Path, typer.Option(help="Folder of the run; a run that stopped goes on.")],
    config: dict[str, Any],
    json: Json = False,
) -> None:
    """Train DenseNet121. Killed at any step, the same command goes on and ends in the same weights.

    Example: cxr train --data data/shards --output runs/first --init imagenet --backbone-lr-scale 0.1
    """
    run = get_backend(load_settings()).train(data, output, TrainConfig.from_hyperparameters(config))
    if json:
        from chest_xray.training.run import RunFolder

        print_json(RunFolder(run).record().model_dump(mode="json"))


app.command()(evaluate)


@app.command()
@options_from(Rates, "rates")
def export(run: Run, data: Data, rates: dict[str, Any], json: Json = False) -> None:
    """Write the bundle: the ONNX graph held to PyTorch, and all that travels with it.

    Example: cxr export --run runs/first --data data/shards
    """
    from chest_xray.export.export import export as write

    bundle = write(run, data, Rates.from_options(rates))
    if json:
        print_json({"bundle": str(bundle.root), "digest": bundle.digest, "mean_auroc": bundle.manifest.mean_auroc})
    say(f"Bundle {bundle.digest[:12]}: {bundle.root}")


app.command()(ensemble)
app.command()(compress)
app.command("test-time")(measure_options)
app.command()(robustness)
app.command()(compare)


@app.command()
def register(
    bundle: Annotated[Path, typer.Option(help="Folder of a bundle.")],
    by: By,
    model_name: ModelName = DEFAULT_MODEL,
    data: TestData = None,
    force: Force = None,
    json: Json = False,
) -> None:
    """Add a bundle to the registry, as PendingManualApproval, if the promotion gate lets it in.

    Where a version is Approved, the bundle is compared with the newest of them on the test images in --data.

    Example: cxr register --bundle runs/second/bundle --model-name chest-xray --data data/shards
    """
    added = get_backend(load_settings()).register(bundle, model_name=model_name, by=by, data=data or [], force=force)
    _show_versions([added], json)


@app.command()
def models(
    model_name: Annotated[str | None, typer.Argument(help="Only this model.")] = None,
    json: Json = False,
) -> None:
    """List the versions in the registry with their state.

    Example: cxr models chest-xray
    """
    _show_versions(get_backend(load_settings()).models(model_name), json)


@app.command()
def approve(
    model_name: ModelArgument,
    version: Version,
    by: By,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    json: Json = False,
) -> None:
    """Approve a version for deployment.

    Example: cxr approve chest-xray --version 1 --reason "mean AUROC 0.82 on the official list"
    """
    _decide(model_name, version, "Approved", by, reason, json)


@app.command()
def reject(
    model_name: ModelArgument,
    version: Version,
    by: By,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    json: Json = False,
) -> None:
    """Reject a version: it cannot be deployed.

    Example: cxr reject chest-xray --version 2 --reason "worse in women"
    """
    _decide(model_name, version, "Rejected", by, reason, json)


@app.command()
def deploy(
    model_name: ModelName = DEFAULT_MODEL,
    version: Annotated[int | None, typer.Option(min=1, help="By default the newest Approved one.")] = None,
    endpoint: EndpointName = DEFAULT_MODEL,
    variant: DeployVariant = None,
    json: Json = False,
) -> None:
    """Deploy an Approved version to an endpoint; the one before stays until the new one has proved itself.

    Example: cxr deploy --model-name chest-xray
    """
    deployed = get_backend(load_settings()).deploy(model_name, version=version, endpoint=endpoint, variant=variant)
    if json:
        print_json(asdict(deployed) | {"bundle": str(deployed.bundle), "deployed_at": deployed.deployed_at.isoformat()})
    else:
        model = deployed.model
        say(f"Endpoint {deployed.name} answers with {model.name} version {model.version} ({model.digest[:12]}).")


@app.command()
def predict(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Films, PNG or JPEG.")],
    endpoint: EndpointName = DEFAULT_MODEL,
    top: Annotated[int, typer.Option(min=1, max=14, help="Findings to show.")] = 5,
    heatmap: Annotated[
        Path | None, typer.Option(help="Folder for a picture of each film with the heat map of its top finding.")
    ] = None,
    json: Json = False,
) -> None:
    """Score films with the deployed model.

    Example: cxr predict film.png --heatmap pictures
    """
    from chest_xray.inference.predict_files import predict_files
    from chest_xray.cli.tables import prediction_row, prediction_table, print_table

    predictor = get_backend(load_settings()).predictor(endpoint)
    rows = []
    try:
        for path, prediction in predict_files(predictor, files, pictures=heatmap):
            if json:
                rows.append(prediction_row(str(path), prediction))
            else:
                print_table(prediction_table(str(path), prediction, predictor.manifest, top))
    finally:
        # Files that could not be read are an error at the end; the others' answers are not lost with them.
        if json:
            print_json(rows)


@app.command()
def serve(
    endpoint: EndpointName = DEFAULT_MODEL,
    host: Annotated[
        str, typer.Option(help="IP address; one that others reach demands API keys or a trusted proxy.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any free port.")] = 8000,
    deadline: Annotated[float, typer.Option(help="Seconds from a request's last byte to its answer.")] = 30.0,
    queue: Annotated[int, typer.Option(help="Requests in progress, waiting ones included; others get a 503.")] = 64,
    tls_certificate: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's key, PEM, unencrypted.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Start without a deployed model, and answer once there is one.")
    ] = False,
) -> None:
    """Serve the deployed model, and the page, over HTTP until Ctrl-C.

    Example: cxr serve --port 8000
    """
    from chest_xray.inference.serve import ServeOptions, serve_when_deployed
    from chest_xray.inference.serve import serve as run_server

    settings = load_settings()
    options = ServeOptions(host, port, deadline, queue, tls_certificate, tls_key)
    options.check()
    find = partial(get_backend(settings).predictor, endpoint)
    try:
        predictor = find()
    except NotDeployedError as error:
        if not wait:
            raise NotDeployedError(f"{error} Or start at once with --wait.") from error
        serve_when_deployed(find, settings, options, endpoint=endpoint)
    else:
        run_server(predictor, settings, options, endpoint=endpoint)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"cxr {chest_xray.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


def _decide(model_name: str, version: int, status: ApprovalStatus, by: str, reason: str | None, json: bool) -> None:
    decided = get_backend(load_settings()).set_approval(model_name, version, status, by=by, reason=reason)
    _show_versions([decided], json)


def _show_versions(versions: Sequence[ModelVersion], json: bool) -> None:
    from chest_xray.cli.tables import print_table, version_rows, versions_table

    if json:
        print_json(version_rows(versions))
    else:
        print_table(versions_table(versions))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `cxr` and leave the process: 0 when done, 2 for what a user can mend, 130 after Ctrl-C."""
    try:
        app(args=None if arguments is None else list(arguments))
    except ChestXrayError as error:
        _fail(str(error))
    except OSError as error:
        _fail(_describe_os_error(error))


def _fail(message: str) -> None:
    say(f"error: {message}")
    sys.exit(2)


def _describe_os_error(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in DISK_FULL:
        return f"the disk is full{where}: nothing half-written was kept. Free some space and run the command again."
    return f"{error.strerror or error}{where}."


if __name__ == "__main__":
    main()
