"""The server as a real process on a real port."""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.bundles import film, png, write_bundle
from tests.processes import run_python, start_python

from chest_xray.errors import EndpointError, SettingsError
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.inference.serve import serve

SERVE = """
import sys
from pathlib import Path
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.inference.serve import serve

class Held(OnnxPredictor):
    def predict(self, image, *, explain=()):
        print("predicting", flush=True)
        sys.stdin.readline()
        return super().predict(image, explain=explain)

kind = Held if sys.argv[2] == "held" else OnnxPredictor
serve(kind.load(Path(sys.argv[1]), name="tiny", version=1), port=0)
print("drained", flush=True)
"""

WITHOUT_TORCH = """
import sys
from pathlib import Path
from tests.asgi import Client  # httpx stands in for the network
from chest_xray.backends import get_backend
from chest_xray.inference.api import create_app
from chest_xray.settings import Settings
import chest_xray.inference.serve

predictor = get_backend(Settings(home=Path(sys.argv[1]))).predictor("clinic")
client = Client(create_app(predictor))
answer = client.post("/v1/predictions?explain=all", content=Path(sys.argv[2]).read_bytes(),
                     headers={"content-type": "image/png"})
assert answer.status_code == 200, answer.text
assert client.get("/openapi.json").status_code == 200
heavy = {"torch", "monai", "mlflow", "pyarrow", "scipy", "sklearn", "matplotlib", "pandas", "onnx"}
print(sorted(heavy & sys.modules.keys()))
"""


@contextmanager
def running(bundle: Path, kind: str = "plain") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process and its address. It has ended when the block ends."""
    process = start_python(SERVE, bundle, kind)
    assert process.stderr is not None
    try:
        first = process.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", first)
        assert address, first + process.stderr.read()
        yield process, address.group()
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("served") / "bundle").root


def test_the_served_numbers_are_the_predictors_and_ctrl_c_ends_with_0(bundle: Path) -> None:
    image = png(film(7))
    expected = [score.probability for score in OnnxPredictor.load(bundle).predict(image).findings]
    with running(bundle) as (process, address):
        response = httpx.post(f"{address}/v1/predictions", content=image, headers={"content-type": "image/png"})
        assert [finding["probability"] for finding in response.json()["findings"]] == expected
        process.send_signal(signal.SIGINT)
        out, log = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "drained\n")
    assert f"{response.headers['x-request-id']} POST /v1/predictions 200" in log
    assert "Traceback" not in log


def test_sigterm_lets_the_request_under_way_finish(bundle: Path) -> None:
    image = png(film(7))
    with running(bundle, "held") as (process, address), ThreadPoolExecutor(1) as pool:
        assert process.stdin is not None
        assert process.stdout is not None
        asked = pool.submit(
            httpx.post, f"{address}/v1/predictions", content=image, headers={"content-type": "image/png"}, timeout=60
        )
        assert process.stdout.readline() == "predicting\n"
        process.send_signal(signal.SIGTERM)
        refused = _wait_until_refused(address)
        process.stdin.write("\n")
        process.stdin.flush()
        response = asked.result(timeout=60)
        out, log = process.communicate(timeout=60)
    assert refused
    assert response.status_code == 200
    assert len(response.json()["findings"]) == 14
    assert (process.returncode, out) == (0, "drained\n"), log


def _wait_until_refused(address: str) -> bool:
    """New connections are refused while the old request is still held."""
    for _ in range(600):
        try:
            httpx.get(f"{address}/healthz", timeout=0.1)
        except httpx.ConnectError:
            return True
        except httpx.TransportError:
            continue
    return False


def test_a_body_too_large_is_refused_on_the_wire_before_it_is_sent(bundle: Path) -> None:
    with running(bundle) as (_, address):
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(
                b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
                b"Content-Length: 999999999999\r\n\r\n"
            )
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"body_too_large"' in body


def test_a_port_in_use_is_one_line(tiny_predictor: OnnxPredictor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EndpointError, match=f"Port {port} on 127.0.0.1 is in use. .*--port"):
            serve(tiny_predictor, port=port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_only_loopback_addresses_are_served(tiny_predictor: OnnxPredictor, host: str) -> None:
    with pytest.raises(SettingsError, match="only loopback addresses are served, because access control"):
        serve(tiny_predictor, host=host, port=0)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_is_a_port(tiny_predictor: OnnxPredictor, port: int) -> None:
    with pytest.raises(SettingsError, match=f"port is {port}"):
        serve(tiny_predictor, port=port)


def test_serving_never_imports_what_training_needs(bundle: Path, tmp_path: Path) -> None:
    from tests.endpoints import deploy_folder

    deploy_folder(tmp_path / "home", bundle, endpoint="clinic")
    (tmp_path / "film.png").write_bytes(png(film()))
    done = run_python(WITHOUT_TORCH, tmp_path / "home", tmp_path / "film.png")
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
