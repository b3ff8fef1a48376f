"""The commands of a deployed model."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from chest_xray.backends import get_backend
from chest_xray.cli.compress import DeployVariant
from chest_xray.cli.options import EndpointName, Json, ModelName, user_name
from chest_xray.console import print_json, say
from chest_xray.errors import NotDeployedError
from chest_xray.inference.http.bounds import DEADLINE_SECONDS, QUEUE
from chest_xray.settings import DEFAULT_MODEL, load_settings


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
        Path | None, typer.Option(help="Folder for a picture of each film with the heat map of its top finding.")
    ] = None,
    json: Json = False,
) -> None:
    """Score films with the deployed model: DICOM, PNG or JPEG.

    Each film has a line in the audit log, and the answer its event.

    Example: cxr predict film.dcm --heatmap pictures
    """
    from chest_xray.cli.predictions import prediction_row, print_prediction
    from chest_xray.inference.predict_files import predict_files
    from chest_xray.inference.scoring import Order
    from chest_xray.records.audit import FileAudit

    settings = load_settings()
    predictor = get_backend(settings).predictor(endpoint)
    order = Order(f"cli:{user_name()}", str(uuid4()), explain=() if heatmap is None else ("top",))
    rows = []
    try:
        audit = FileAudit.open(settings.home_dir)
        for path, prediction in predict_files(predictor, files, order, audit=audit, pictures=heatmap):
            if json:
                rows.append(prediction_row(str(path), order.request_id, prediction))
            else:
                print_prediction(str(path), prediction, predictor.manifest, top)
    finally:
        # Files that could not be read are an error at the end; the others' answers are not lost with them.
        if json:
            print_json(rows)


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
