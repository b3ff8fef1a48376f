"""The commands of a deployed model."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import uuid4

import typer

from chest_xray.backends import get_backend
from chest_xray.cli.compress import DeployVariant
from chest_xray.cli.options import EndpointName, Json, ModelName, user_name
from chest_xray.console import print_json, say
from chest_xray.errors import NotDeployedError, SettingsError
from chest_xray.inference.http.bounds import DEADLINE_SECONDS, QUEUE
from chest_xray.settings import DEFAULT_MODEL, load_settings

if TYPE_CHECKING:
    from chest_xray.batch.run import Summary

SOME_REFUSED: Final = 4  # exit code of `cxr score`


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


def predict(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Films, DICOM, PNG or JPEG.")],
    endpoint: EndpointName = DEFAULT_MODEL,
    top: Annotated[int, typer.Option(min=1, help="Findings to show.")] = 5,
    heatmap: Annotated[
        Path | None,
        typer.Option(help="Folder for a picture of each film with the heat map of its top flagged finding."),
    ] = None,
    heatmap_anyway: Annotated[
        bool, typer.Option("--heatmap-anyway", help="With --heatmap: of the top finding, though it is not flagged.")
    ] = False,
    json: Json = False,
) -> None:
    """Score films with the deployed model: DICOM, PNG or JPEG.

    Each film has a line in the audit log, and the answer its event.

    Example: cxr predict film.dcm --heatmap pictures
    """
    from chest_xray.cli.predictions import prediction_row, print_prediction
    from chest_xray.inference.predict_files import Pictures, predict_files
    from chest_xray.inference.scoring import Order
    from chest_xray.records.audit import FileAudit

    settings = load_settings()
    predictor = get_backend(settings).predictor(endpoint)
    order = Order(f"cli:{user_name()}", str(uuid4()), explain=() if heatmap is None else ("top",))
    pictures = None if heatmap is None else Pictures(heatmap, anyway=heatmap_anyway)
    rows = []
    try:
        audit = FileAudit.open(settings.home_dir)
        for path, prediction in predict_files(predictor, files, order, audit=audit, pictures=pictures):
            if json:
                rows.append(prediction_row(str(path), order.request_id, prediction))
            else:
                print_prediction(str(path), prediction, predictor.manifest, top)
    finally:
        # Files that could not be read are an error at the end; the others' answers are not lost with them.
        if json:
            print_json(rows)


def score(
    source: Annotated[Path, typer.Option(help="Folder of films, DICOM, PNG or JPEG, with the folders below it.")],
    output: Annotated[Path, typer.Option(help="Folder for scores.parquet; a run that stopped goes on.")],
    endpoint: EndpointName = DEFAULT_MODEL,
    threads: Annotated[int | None, typer.Option(min=1, help="Films at once; by default one a processor.")] = None,
    json: Json = False,
) -> None:
    """Score a folder of films with the deployed model, a row of a Parquet file each. Killed, the same command goes on.

    A film that cannot be read has a row that says why, and exit code 4 says that there are some. Each film has a line
    in the audit log.

    Example: cxr score --source night/ --output scores/night
    """
    try:
        from chest_xray.batch.run import score_folder
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"Scores are written with {error.name}: pip install 'chest-xray-classifier[train]'."
        ) from error
    from chest_xray.inference.scoring import Order
    from chest_xray.records.audit import FileAudit

    settings = load_settings()
    predictor = get_backend(settings).predictor(endpoint)
    order = Order(f"cli:{user_name()}", str(uuid4()))
    try:
        found = score_folder(
            predictor, source, output, order, audit=FileAudit.open(settings.home_dir), threads=threads
        )  # fmt: skip
    except KeyboardInterrupt:
        say(f"Stopped; what was scored is kept. To go on: cxr score --source {source} --output {output}")
        raise
    if json:
        print_json(asdict(found) | {"scores": str(found.scores)})
    say(_sentence(found))
    if found.refused:
        raise typer.Exit(SOME_REFUSED)


def serve(
    endpoint: EndpointName = DEFAULT_MODEL,
    host: Annotated[
        str, typer.Option(help="IP address; one that others reach demands API keys or a trusted proxy.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any free port.")] = 8000,
    deadline: Annotated[
        float, typer.Option(help="Seconds from a request's last byte to its answer.")
    ] = DEADLINE_SECONDS,
    queue: Annotated[int, typer.Option(help="Requests in progress, waiting ones included; others get a 503.")] = QUEUE,
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


def _sentence(found: Summary) -> str:
    rate = f" ({found.now / found.seconds:.1f} films/s)" if found.now and found.seconds else ""
    refused = ", ".join(f"{count} {code}" for code, count in found.refused.items())
    return (
        f"{found.scored} of {found.films} films scored{rate}: {found.flagged} with a flagged finding, {found.withheld} "
        f"withheld, to be read by yourself{f'; refused: {refused}' if refused else ''}. {found.scores}"
    )
