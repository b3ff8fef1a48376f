"""`python -m chest_xray.inference.container serve`: the service as a SageMaker hosting container runs it.

SageMaker unpacks model.tar.gz to /opt/ml/model, calls port 8080 (or SAGEMAKER_BIND_TO_PORT), and sends SIGKILL 30 s
after SIGTERM. Nothing is written to the disk: audit lines go to standard output, the log to standard error, as JSON.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from chest_xray.errors import ChestXrayError, SettingsError
from chest_xray.images.limits import DEFAULT_LIMITS, Limits
from chest_xray.records.logs import start_log
from chest_xray.settings import ContainerSettings, load_container_settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from chest_xray.inference.http.admission import Admission, AdmissionLimits
    from chest_xray.prediction import Predictor
    from chest_xray.records.audit import Audit

DEADLINE_SECONDS: Final = 55.0  # SageMaker waits for 60
# An endpoint passes 6 MB on; Batch Transform takes 100 MB.
MAX_ANSWER_BYTES: Final = 6 * 1024 * 1024
MAX_BATCH_ANSWER_BYTES: Final = 100 * 1024 * 1024


def compose(
    predictor: Predictor,
    audit: Audit,
    *,
    limits: Limits = DEFAULT_LIMITS,
    admission: AdmissionLimits | None = None,
    max_answer_bytes: int = MAX_ANSWER_BYTES,
) -> tuple[ASGIApp, Admission]:
    """The contract's application over `predictor`, and the places whose `drain` is to be called before it ends."""
    from chest_xray.inference.container.invocations import CustomAttributes, create_container
    from chest_xray.inference.http.admission import Admission, AdmissionControl, AdmissionLimits
    from chest_xray.inference.http.boundary import Boundary
    from chest_xray.inference.service import PredictionService
    from chest_xray.records.metrics import Metrics

    model = predictor.identity
    metrics = Metrics(model=model.name, version=model.version, digest=model.digest)
    service = PredictionService(
        predictor, limits=limits, audit=audit, metrics=metrics, deadline_seconds=DEADLINE_SECONDS
    )
    places = Admission(admission or AdmissionLimits(), metrics)
    app = create_container(service, ready=lambda: not places.draining, max_answer_bytes=max_answer_bytes)
    guarded = AdmissionControl(app, places, limits.max_bytes)
    return CustomAttributes(Boundary(guarded, None, metrics), tuple(predictor.manifest.findings)), places


def serve_container(model_dir: Path, settings: ContainerSettings) -> None:
    """Answer under the contract until SIGTERM.

    Raises:
        BundleError: `model_dir` holds no bundle that can be trusted.
        EndpointError: the port cannot be had.
    """
    from chest_xray.inference.http.listen import listen
    from chest_xray.inference.http.server import run_server
    from chest_xray.inference.predictor import OnnxPredictor
    from chest_xray.records.audit import StreamAudit

    predictor = OnnxPredictor.load(model_dir)
    audit = StreamAudit(sys.stdout.buffer)
    longest = MAX_BATCH_ANSWER_BYTES if settings.batch else MAX_ANSWER_BYTES
    app, admission = compose(predictor, audit, max_answer_bytes=longest)
    # Every interface: the contract asks for it.
    with listen("", settings.bind_to_port, host="this machine", choose_port="SAGEMAKER_BIND_TO_PORT") as listener:
        _log.info(
            "model %s answers on port %d; image key %s of the audit lines lives as long as this process",
            predictor.identity.digest[:12],
            listener.getsockname()[1],
            audit.key_id,
        )
        run_server(app, listener, drain=admission.drain)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the container's command; returns the exit code: 0 after SIGTERM, 2 for what a user can mend."""
    parser = _OneLineParser(prog="serve", description="Answer SageMaker's hosting contract.")
    parser.add_argument("command", help="serve")
    parser.add_argument("--model-dir", type=Path, default=Path("/opt/ml/model"), help="default: /opt/ml/model")
    start_log("json")
    try:
        options = parser.parse_args(arguments)
        _check_command(options.command)
        serve_container(options.model_dir, load_container_settings())
    except (ChestXrayError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise SettingsError(f"{message}. Run the container as `serve [--model-dir FOLDER]`.")


_log: Final = logging.getLogger("chest_xray.container")


def _check_command(command: str) -> None:
    if command == "train":
        raise SettingsError("This container serves. Train with `python -m chest_xray.training.container`.")
    if command != "serve":
        raise SettingsError(f"The command is {command[:40]!r}; expected serve.")


if __name__ == "__main__":
    sys.exit(main())
