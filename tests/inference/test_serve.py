"""The server as a real process on a real port."""

import json
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.asgi import Client
from tests.support.bundles import film, png, write_bundle
from tests.support.processes import run_python, start_python

from chest_xray.errors import AccessError, EndpointError, SettingsError
from chest_xray.inference.api.app import create_app
from chest_xray.inference.http.access import EitherAccess, KeyAccess, OpenAccess, ProxyAccess
from chest_xray.inference.http.keys import KeyFile
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.inference.serve import ServeOptions, choose_access, serve
from chest_xray.settings import Settings

SERVE = """
import json, sys
from pathlib import Path
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.inference.serve import ServeOptions, serve
from chest_xray.settings import Settings

class Held(OnnxPredictor):
    def predict(self, image, *, explain=()):
        print("predicting", flush=True)
        sys.stdin.readline()
        return super().predict(image, explain=explain)

bundle, kind, home, options = sys.argv[1:]
predictor = {"held": Held, "plain": OnnxPredictor}[kind].load(Path(bundle), name="tiny", version=1)
serve(predictor, Settings(home=Path(home)), ServeOptions(port=0, **json.loads(options)))
print("drained", flush=True)
"""

WITHOUT_TORCH = """
import sys
from pathlib import Path
from tests.support.asgi import Client  # httpx stands in for the network
from chest_xray.backends import get_backend
from chest_xray.inference.api.app import create_app
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


PNG = {"content-type": "image/png"}


@contextmanager
def running(
    bundle: Path, home: Path, kind: str = "plain", **options: object
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process and its address. It has ended when the block ends."""
    process = start_python(SERVE, bundle, kind, home, json.dumps(options))
    assert process.stderr is not None
    try:
        first = process.stderr.readline()
        address = re.search(r"https?://\S+:(\d+)", first)
        assert address, first + process.stderr.read()
        yield process, f"{address.group().partition(':')[0]}://127.0.0.1:{address.group(1)}"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("served") / "bundle").root


def test_the_served_numbers_are_the_predictors_and_ctrl_c_ends_with_0(bundle: Path, tmp_path: Path) -> None:
    image = png(film(7))
    expected = [score.probability for score in OnnxPredictor.load(bundle).predict(image).findings]
    with running(bundle, tmp_path) as (process, address):
        response = httpx.post(f"{address}/v1/predictions", content=image, headers=PNG)
        assert [finding["probability"] for finding in response.json()["findings"]] == expected
        process.send_signal(signal.SIGINT)
        out, log = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "drained\n")
    lines = [json.loads(line) for line in log.splitlines()]
    assert {line["event"] for line in lines} == {"log"}
    assert any(f"{response.headers['x-request-id']} POST /v1/predictions 200" in line["message"] for line in lines)
    assert "Traceback" not in log
    (line,) = next((tmp_path / "audit").glob("audit-*.jsonl")).read_text().splitlines()
    entry = json.loads(line)
    assert (entry["caller"], entry["outcome"]) == ("local", "scored")
    assert entry["request_id"] == response.headers["x-request-id"]


def test_after_sigterm_readiness_is_503_and_the_request_under_way_finishes(bundle: Path, tmp_path: Path) -> None:
    image = png(film(7))
    with running(bundle, tmp_path, "held") as (process, address), ThreadPoolExecutor(1) as pool:
        assert process.stdin is not None
        assert process.stdout is not None
        asked = pool.submit(httpx.post, f"{address}/v1/predictions", content=image, headers=PNG, timeout=60)
        assert process.stdout.readline() == "predicting\n"
        assert httpx.get(f"{address}/readyz").status_code == 200
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        ready, late = _last_answers(address, image)
        refused = _wait_until_refused(address)
        assert 0.5 < time.monotonic() - started < 5
        process.stdin.write("\n")
        process.stdin.flush()
        response = asked.result(timeout=60)
        out, log = process.communicate(timeout=60)
    assert ready.status_code == 503
    assert (late.status_code, late.json()["code"]) == (503, "draining")
    assert refused
    assert response.status_code == 200
    assert len(response.json()["findings"]) == 14
    assert (process.returncode, out) == (0, "drained\n"), log


def _last_answers(address: str, image: bytes) -> tuple[httpx.Response, httpx.Response]:
    """Readiness and a prediction, asked for anew as soon as readiness turns."""
    for _ in range(50):
        ready = httpx.get(f"{address}/readyz")
        if ready.status_code != 200:
            break
        time.sleep(0.01)
    return ready, httpx.post(f"{address}/v1/predictions", content=image, headers=PNG)


def _wait_until_refused(address: str) -> bool:
    """New connections are refused while the old request is still held."""
    for _ in range(600):
        try:
            httpx.get(f"{address}/healthz", timeout=0.1)
        except httpx.ConnectError:
            return True
        except httpx.TransportError:
            continue
        time.sleep(0.01)
    return False


def test_a_second_signal_does_not_wait_for_load_balancers(bundle: Path, tmp_path: Path) -> None:
    with running(bundle, tmp_path) as (process, address):
        assert httpx.get(f"{address}/readyz").status_code == 200
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        process.communicate(timeout=60)
    assert time.monotonic() - started < 0.9
    assert process.returncode == 0


def test_a_host_that_others_reach_demands_keys(bundle: Path, tmp_path: Path) -> None:
    key, text = KeyFile(tmp_path).add("ward-3", 60)
    image = png(film(7))
    authorised = PNG | {"authorization": f"Bearer {text}"}
    with running(bundle, tmp_path, host="0.0.0.0") as (process, address):
        assert process.stderr is not None
        said = [json.loads(process.stderr.readline())["message"] for _ in range(2)]
        url = f"{address}/v1/predictions"
        without = httpx.post(url, content=image, headers=PNG)
        by_another_name = httpx.post(url, content=image, headers=authorised | {"host": "cxr.clinic.example"})
        spoofed = httpx.post(
            url, content=image, headers=PNG | {"x-forwarded-user": "jane", "x-forwarded-for": "10.0.0.1"}
        )
        probes = [
            httpx.get(f"{address}{path}").status_code for path in ("/healthz", "/readyz", "/metrics", "/v1/model")
        ]
        KeyFile(tmp_path).revoke(key.id)
        time.sleep(1.1)
        revoked = httpx.post(url, content=image, headers=authorised)
    assert said[0].startswith("Callers need an API key. Audit log: ")
    assert "keys and films travel in clear text" in said[1]
    assert (without.status_code, without.json()["code"]) == (401, "key_missing")
    assert by_another_name.status_code == 200
    assert (spoofed.status_code, spoofed.json()["code"]) == (401, "key_missing")
    assert probes == [200, 200, 401, 401]
    assert (revoked.status_code, revoked.json()["code"]) == (401, "key_unknown")
    audit = next((tmp_path / "audit").glob("*.jsonl")).read_text().splitlines()
    assert [json.loads(line)["caller"] for line in audit] == ["key:ward-3"]


@pytest.mark.openssl
def test_tls_ends_here_when_it_is_given_a_certificate(bundle: Path, tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    files = {"tls_certificate": str(certificate), "tls_key": str(key)}
    with running(bundle, tmp_path, **files) as (_, address):
        context = ssl.create_default_context(cafile=certificate)
        assert address.startswith("https://")
        assert httpx.get(f"{address}/readyz", verify=context).status_code == 200


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def test_a_body_too_large_is_refused_on_the_wire_before_it_is_sent(bundle: Path, tmp_path: Path) -> None:
    with running(bundle, tmp_path) as (_, address):
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(
                b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
                b"Content-Length: 999999999999\r\n\r\n"
            )
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"body_too_large"' in body


def test_a_port_in_use_is_one_line(tiny_predictor: OnnxPredictor, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EndpointError, match=rf"Port {port} on 127\.0\.0\.1 is in use\. .*--port"):
            serve(tiny_predictor, Settings(home=tmp_path), ServeOptions(port=port))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5"])
def test_a_host_that_others_reach_is_not_served_without_a_guard(
    tiny_predictor: OnnxPredictor, tmp_path: Path, host: str
) -> None:
    revoked, _ = KeyFile(tmp_path).add("ward-3")
    KeyFile(tmp_path).revoke(revoked.id)
    with pytest.raises(
        SettingsError, match=r"there is no API key in use\. Make one with `cxr keys add NAME`, or set CXR_TRUSTED"
    ):
        serve(tiny_predictor, Settings(home=tmp_path), ServeOptions(host=host, port=0))
    assert not (tmp_path / "audit").exists()


def test_access_follows_from_keys_and_proxies(tmp_path: Path) -> None:
    proxies = (ip_network("10.0.0.0/24"),)
    loopback, everywhere = ServeOptions(), ServeOptions(host="0.0.0.0")
    plain, proxied = Settings(home=tmp_path), Settings(home=tmp_path).model_copy(update={"trusted_proxies": proxies})
    assert isinstance(choose_access(plain, loopback), OpenAccess)
    assert isinstance(choose_access(proxied, everywhere), ProxyAccess)
    assert isinstance(choose_access(proxied, loopback), ProxyAccess)
    key, _ = KeyFile(tmp_path).add("ward-3")
    assert isinstance(choose_access(plain, loopback), KeyAccess)
    assert isinstance(choose_access(plain, everywhere), KeyAccess)
    assert isinstance(choose_access(proxied, everywhere), EitherAccess)
    KeyFile(tmp_path).revoke(key.id)
    assert isinstance(choose_access(plain, loopback), KeyAccess)
    assert isinstance(choose_access(proxied, everywhere), EitherAccess)
    with pytest.raises(SettingsError, match=r"there is no API key in use\."):
        choose_access(plain, everywhere)


def test_a_revoked_key_opens_nothing(tiny_predictor: OnnxPredictor, tmp_path: Path) -> None:
    """Neither the key itself, nor the door for everybody, as if there had never been one."""
    key, secret = KeyFile(tmp_path).add("ward-3")
    KeyFile(tmp_path).revoke(key.id)
    client = Client(create_app(tiny_predictor, access=choose_access(Settings(home=tmp_path), ServeOptions())))
    answers = [
        client.post("/v1/predictions", content=png(film()), headers=PNG | more)
        for more in ({}, {"authorization": f"Bearer {secret}"})
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (401, "key_missing"),
        (401, "key_unknown"),
    ]


def test_keys_that_cannot_be_read_are_one_line_and_no_server(tiny_predictor: OnnxPredictor, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    for host in ("127.0.0.1", "0.0.0.0"):
        with pytest.raises(AccessError, match=r"keys\.json: the document: Invalid JSON"):
            serve(tiny_predictor, Settings(home=tmp_path), ServeOptions(host=host, port=0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": -1}, "port is -1; expected 0 to 65535"),
        ({"port": 65536}, "port is 65536"),
        ({"host": "example.org"}, "host is 'example.org'; expected localhost or an IP address"),
        ({"host": ""}, "host is ''"),
        ({"deadline": 0}, "deadline is 0; expected 1 to 600 seconds"),
        ({"deadline": float("nan")}, "deadline is nan"),
        ({"queue": 0}, "queue is 0; expected 1 to 10000 requests"),
        ({"tls_key": Path("key.pem")}, "TLS needs both files"),
        (
            {"tls_key": Path("key.pem"), "tls_certificate": Path("none.pem")},
            "TLS cannot start with none.pem and key.pem",
        ),
    ],
)
def test_an_option_that_cannot_be_used_is_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        ServeOptions(**options).check()


def test_a_file_that_is_no_certificate_is_one_line(tmp_path: Path) -> None:
    for name in ("certificate.pem", "key.pem"):
        (tmp_path / name).write_text("no PEM")
    options = ServeOptions(tls_certificate=tmp_path / "certificate.pem", tls_key=tmp_path / "key.pem")
    with pytest.raises(SettingsError, match="Expected a certificate chain and its unencrypted key"):
        options.check()


def test_serving_never_imports_what_training_needs(bundle: Path, tmp_path: Path) -> None:
    from tests.support.endpoints import deploy_folder

    deploy_folder(tmp_path / "home", bundle, endpoint="clinic")
    (tmp_path / "film.png").write_bytes(png(film()))
    done = run_python(WITHOUT_TORCH, tmp_path / "home", tmp_path / "film.png")
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
