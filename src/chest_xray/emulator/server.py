"""The emulator: moto's server on loopback with SageMaker's jobs patched in, and all it keeps in one folder."""

from __future__ import annotations

import logging
import os
import secrets
import shlex
import socket
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from chest_xray.emulator.account import ROLE, bucket_name, furnish, image_name
from chest_xray.emulator.gate import Gate, Throttle
from chest_xray.emulator.operations import experiments, limits, registry
from chest_xray.emulator.operations.processing import ProcessingOperations
from chest_xray.emulator.operations.training import TrainingOperations
from chest_xray.emulator.runtime import Images, Pace, Runtime
from chest_xray.errors import EmulatorError

HOST: Final = "127.0.0.1"
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class Emulator:
    """Entered, it answers; left, every process that it started is gone and its folder deleted.

    There is one in a process: moto's state belongs to the process.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        region: str = "us-east-1",
        images: Images | None = None,
        pace: Pace | None = None,
        throttle: float = 0.0,
    ) -> None:
        self.region = region
        self.stopped = threading.Event()
        self._port, self._throttle = port, throttle
        self._images, self._pace = images or Images(), pace or Pace()
        # The emulator's own requests carry another key than its users', and are not throttled.
        self._key, self._own_key = _draw_key(), _draw_key()
        self._folder = tempfile.TemporaryDirectory(prefix="cxr-emulator-", ignore_cleanup_errors=True)
        self._clients: dict[tuple[str, str], Any] = {}
        self._clients_lock = threading.Lock()
        self._server: Any = None
        self._training: TrainingOperations | None = None
        self._processing: ProcessingOperations | None = None

    @property
    def url(self) -> str:
        """Where every service answers."""
        return f"http://{HOST}:{self._port}"

    @property
    def credentials(self) -> Path:
        """A file as AWS clients read it: the access key and the region."""
        return Path(self._folder.name) / "credentials"

    @property
    def bucket(self) -> str:
        """A bucket that is there from the start."""
        return bucket_name(self.region)

    def environment(self) -> dict[str, str]:
        """The two variables that point any AWS client at the emulator."""
        return {"AWS_ENDPOINT_URL": self.url, "AWS_SHARED_CREDENTIALS_FILE": str(self.credentials)}

    def lines(self) -> list[str]:
        """What a shell evaluates: those two, and what `cxr` needs: a role, the images and a bucket."""
        own = {
            "CXR_SAGEMAKER_ROLE": ROLE,
            "CXR_SAGEMAKER_IMAGE": image_name(self.region, "train"),
            "CXR_SAGEMAKER_SERVE_IMAGE": image_name(self.region, "serve"),
            "CXR_SAGEMAKER_BUCKET": self.bucket,
        }
        return [f"export {name}={shlex.quote(value)}" for name, value in {**self.environment(), **own}.items()]

    def __enter__(self) -> Self:
        try:
            self._images.open()
            self._server = self._make_server()
        except EmulatorError:
            self._images.close()
            self._folder.cleanup()
            raise
        self._write_credentials()
        self._port = self._server.server_address[1]
        runtime = Runtime(Path(self._folder.name), self.connect, self.environment(), self._images, self._pace)
        self._training = TrainingOperations(runtime)
        self._training.install()
        self._processing = ProcessingOperations(runtime)
        self._processing.install()
        limits.install()
        registry.install()
        experiments.install()
        threading.Thread(target=self._server.serve_forever, name="emulator", daemon=True).start()
        furnish(self.connect, self.region, self._key)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for operations in (self._training, self._processing):
            if operations is not None:
                operations.close()
        self._server.shutdown()
        self._server.server_close()
        self._images.close()
        self._folder.cleanup()

    def connect(self, service: str, region: str) -> Any:
        """A client of one of the emulator's own services. One is enough for all threads, and slow to make."""
        with self._clients_lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._make_client(service, region)
            return self._clients[service, region]

    def _make_client(self, service: str, region: str) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=self._own_key,
            aws_secret_access_key=self._own_key,
            aws_session_token=None,
            config=Config(
                # On loopback nothing is lost on the way, and checkpoints are large.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path", "payload_signing_enabled": False},
            ),
        )

    def order(self, name: str, argument: str) -> str | None:
        """Carry out `reclaim` JOB or `stop`; returns what was wrong, else None."""
        if name == "reclaim" and self._training is not None:
            return self._training.reclaim(argument)
        if name == "stop":
            self.stopped.set()
            return None
        return f"{name!r} is no order: expected reclaim or stop."

    def _make_server(self) -> Any:
        from moto.moto_server import werkzeug_app
        from werkzeug.serving import make_server

        # Pages of other sites have no business here.
        vars(werkzeug_app)["DISABLE_GLOBAL_CORS"] = True

        # A line for each request would drown what the emulator says itself.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        app = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
        self.gate = Gate(app, self._key, self._own_key, self.order, Throttle(self._throttle))
        with self._listen() as listening:
            # werkzeug takes a copy of the descriptor.
            port = listening.getsockname()[1]
            return make_server(
                HOST,
                port,
                self.gate,
                threaded=True,
                request_handler=werkzeug_app.MotoRequestHandler,
                fd=listening.fileno(),
            )

    def _listen(self) -> socket.socket:
        try:
            return socket.create_server((HOST, self._port))
        except OSError as error:
            raise EmulatorError(
                f"Port {self._port} of {HOST} cannot be used ({error.strerror}): take another with --port, or end the "
                "program that answers there."
            ) from error

    def _write_credentials(self) -> None:
        text = (
            f"[default]\naws_access_key_id = {self._key}\naws_secret_access_key = {self._key}\nregion = {self.region}\n"
        )
        descriptor = os.open(self.credentials, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def _draw_key() -> str:
    """80 random bits in the form of an access key."""
    return "AKIA" + "".join(secrets.choice(_LETTERS) for _ in range(16))
