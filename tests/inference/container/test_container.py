"""SageMaker's hosting contract: in process for what it answers, as a process for how it lives."""

import asyncio
import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.types import ASGIApp
from tests.support.asgi import Client
from tests.support.bundles import film, png, write_bundle
from tests.support.processes import environment, run_python

from chest_xray.bundle import load_bundle
from chest_xray.errors import EndpointError
from chest_xray.findings import FINDINGS
from chest_xray.images.limits import Limits
from chest_xray.inference.api.app import create_app
from chest_xray.inference.container.__main__ import compose, serve_container
from chest_xray.inference.container.invocations import ATTRIBUTES
from chest_xray.inference.http.admission import AdmissionLimits
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.notices import RESEARCH_USE_ONLY
from chest_xray.prediction import Prediction
from chest_xray.records.audit import StreamAudit
from chest_xray.settings import ContainerSettings

INVOCATIONS = "/invocations"
PNG = {"content-type": "image/png"}
JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/jsonlines"}
LIMITS = Limits(max_bytes=1_000_000)
NOBODY = 65534


class Container:
    """The contract's application over the tiny bundle, with its audit lines."""

    def __init__(self, predictor: OnnxPredictor, max_answer_bytes: int = 6 * 1024 * 1024) -> None:
        self.audit = io.BytesIO()
        self.app: ASGIApp
        self.app, self.admission = compose(
            predictor,
            StreamAudit(self.audit),
            limits=LIMITS,
            admission=AdmissionLimits(requests=4),
            max_answer_bytes=max_answer_bytes,
        )
        self.client = Client(self.app)

    def post(self, content: bytes, headers: dict[str, str], attributes: str | None = None) -> httpx.Response:
        more = {} if attributes is None else {ATTRIBUTES: attributes}
        return self.client.post(INVOCATIONS, content=content, headers=headers | more)

    def send(self, value: object) -> httpx.Response:
        return self.post(json.dumps(value).encode(), JSON)


@pytest.fixture
def container(tiny_predictor: OnnxPredictor) -> Container:
    return Container(tiny_predictor)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def probabilities(answer: dict[str, Any]) -> list[float]:
    return [finding["probability"] for finding in answer["findings"]]


def expected(predictor: OnnxPredictor, image: bytes, explain: Collection[str] = ()) -> Prediction:
    return predictor.predict(image, explain=explain)


def assert_problem(response: httpx.Response, status: int, code: str) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
    detail: str = problem["detail"]
    return detail


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "application/dicom", "Image/PNG; name=film"])
def test_a_films_bytes_give_the_predictors_numbers(
    container: Container, tiny_predictor: OnnxPredictor, kind: str
) -> None:
    image = png(film(5))
    response = container.post(image, {"content-type": kind}, "explain=all")
    answer = response.json()
    prediction = expected(tiny_predictor, image, ("all",))
    assert response.status_code == 200
    assert probabilities(answer) == [score.probability for score in prediction.findings]
    assert answer["heat_maps"] == {name: cam.tolist() for name, cam in prediction.heat_maps.items()}
    assert answer["model"]["digest"] == tiny_predictor.identity.digest
    assert answer["notice"] == RESEARCH_USE_ONLY


def test_the_answer_is_that_of_the_api(container: Container, tiny_predictor: OnnxPredictor) -> None:
    image, request_id = png(film(5)), str(uuid.uuid4())
    api = Client(create_app(tiny_predictor)).post(
        "/v1/predictions?explain=top", content=image, headers=PNG | {"X-Request-ID": request_id}
    )
    here = container.post(image, PNG, f"request_id={request_id};explain=top")
    own = {"timings_ms", "event_id"}
    shared = [{k: v for k, v in r.json().items() if k not in own} for r in (api, here)]
    assert shared[0] == shared[1]
    assert uuid.UUID(here.json()["event_id"]) != uuid.UUID(api.json()["event_id"])


def test_json_gives_one_answer_for_one_image(container: Container, tiny_predictor: OnnxPredictor) -> None:
    image = png(film(3))
    answer = container.send({"image": b64(image), "explain": ["Mass", "Effusion"]}).json()
    prediction = expected(tiny_predictor, image, ("Effusion", "Mass"))
    assert probabilities(answer) == [score.probability for score in prediction.findings]
    assert answer["heat_maps"] == {name: cam.tolist() for name, cam in prediction.heat_maps.items()}


def test_json_gives_a_list_for_a_list_with_the_callers_ids(container: Container, tiny_predictor: OnnxPredictor) -> None:
    films = [png(film(seed)) for seed in range(3)]
    items = [
        {"id": "scan,1:{a}", "image": b64(films[0])},
        {"image": b64(b"no film")},
        {"id": "x" * 128, "image": "no base64"},
        {"id": "4", "image": b64(films[2])},
    ]
    response = container.send({"images": items, "heat_maps": "png", "explain": "top"})
    answer = response.json()
    assert response.status_code == 200
    assert [(r["index"], r["id"], r["status"]) for r in answer["results"]] == [
        (0, "scan,1:{a}", 200),
        (1, None, 422),
        (2, "x" * 128, 422),
        (3, "4", 200),
    ]
    found = [answer["results"][index]["prediction"] for index in (0, 3)]
    wanted = [[s.probability for s in expected(tiny_predictor, films[index]).findings] for index in (0, 2)]
    assert [probabilities(prediction) for prediction in found] == wanted
    (picture,) = found[0]["heat_maps"].values()
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    problems = [answer["results"][index]["problem"] for index in (1, 2)]
    assert [problem["code"] for problem in problems] == ["image_unreadable"] * 2
    assert "base64" in problems[1]["detail"]
    assert answer["request_id"] == response.headers["x-request-id"]


def test_json_lines_are_answered_line_by_line_and_a_bad_line_fails_alone(
    container: Container, tiny_predictor: OnnxPredictor
) -> None:
    films = [png(film(seed)) for seed in range(4)]
    lines = [
        json.dumps({"image": b64(films[0])}),
        "{no json",
        json.dumps({"image": b64(films[1]), "explain": "all"}),
        "",
        json.dumps({"images": [{"id": "a", "image": b64(films[2])}, {"id": "b", "image": "AAAA"}]}),
        json.dumps({"image": b64(b"no film")}),
        json.dumps({"image": b64(films[3])}),
    ]
    response = container.post("\n".join(lines).encode() + b"\n", LINES)
    answers = [json.loads(line) for line in response.text.splitlines()]
    assert (response.status_code, response.headers["content-type"]) == (200, "application/jsonlines")
    assert [answer.get("code") for answer in answers] == [
        None,
        "body_invalid",
        None,
        "body_invalid",
        None,
        "image_unreadable",
        None,
    ]
    for line, image in ((0, films[0]), (2, films[1]), (6, films[3])):
        wanted = [score.probability for score in expected(tiny_predictor, image).findings]
        assert probabilities(answers[line]) == wanted
    assert list(answers[2]["heat_maps"]) == list(FINDINGS)
    assert [result["status"] for result in answers[4]["results"]] == [200, 422]
    assert len(container.audit.getvalue().splitlines()) == 6


def test_strict_refuses_what_the_guard_or_a_check_does_not_accept(container: Container) -> None:
    blank = png(np.full((64, 64), 127, dtype=np.uint8))
    lenient = container.post(blank, PNG)
    assert (lenient.status_code, lenient.json()["quality"][0]["check"]) == (200, "blank")
    assert_problem(container.post(blank, PNG, "strict=true"), 422, "quality_blank")
    assert_problem(container.send({"image": b64(blank), "strict": True}), 422, "quality_blank")
    results = container.send({"images": [{"image": b64(blank)}, {"image": b64(png(film()))}], "strict": True}).json()
    assert [result["status"] for result in results["results"]] == [422, 200]


@pytest.mark.parametrize(
    "attributes",
    ["explain=Tuberculosis", "strict=yes", "heat_maps=jpeg", "patient=DOE", "DOE", "explain=top;" + "x" * 1024],
)
def test_attributes_that_are_not_known_are_422(container: Container, attributes: str) -> None:
    response = container.post(png(film()), PNG, attributes)
    assert response.status_code == 422
    assert response.json()["code"] in ("attributes_invalid", "explain_unknown")
    assert "DOE" not in response.text


def test_the_request_id_travels_in_the_attributes(container: Container) -> None:
    given = str(uuid.uuid4())
    response = container.post(png(film()), PNG, f"request_id={given};explain=none")
    assert response.json()["request_id"] == given
    assert response.headers[ATTRIBUTES] == f"request_id={given}"
    assert json.loads(container.audit.getvalue())["request_id"] == given
    named = container.post(png(film()), PNG, "request_id=DOE-JANE").headers[ATTRIBUTES]
    assert re.fullmatch(r"request_id=[0-9a-f-]{36}", named)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"image": 5}',
        b'{"images": []}',
        b'{"image": "", "images": [{"image": ""}]}',
        b'{"image": "", "DOE": 1}',
        b'{"images": [{"image": "", "DOE": 1}]}',
        b'{"images": [{"id": "a b", "image": ""}]}',
        b'{"images": [{"id": "", "image": ""}]}',
        b'{"images": [{"id": "' + b"x" * 129 + b'", "image": ""}]}',
        b'{"image": "", "strict": "true"}',
        b'{"image": "", "strict": 1}',
        b'{"image": "", "heat_maps": "DOE"}',
        b"[" * 500_000,
        b"[" * 15_000,
        b'{"image": ' * 5_000,
        b"[" + b"[]," * 300_000 + b"[]]",
        b'{"images": [' + b'{"image": ""},' * 64 + b'{"image": ""}]}',
        b'{"image": NaN}',
        b"\xff\xfe",
    ],
)
def test_json_that_is_none_of_ours_is_422_and_nothing_of_it_comes_back(container: Container, body: bytes) -> None:
    started = time.monotonic()
    response = container.post(body, JSON)
    assert "Send {" in assert_problem(response, 422, "body_invalid")
    assert "DOE" not in response.text
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("text", ["AAA", "A A=", "AA==\n", "AA==AA==", "-_-_", "ä", "data:image/png;base64,AAAA"])
def test_base64_is_taken_at_its_word(container: Container, text: str) -> None:
    assert "base64" in assert_problem(container.send({"image": text}), 422, "image_unreadable")


def test_limits_are_kept(tiny_predictor: OnnxPredictor, container: Container) -> None:
    assert_problem(container.post(b"x" * 1_000_001, PNG), 413, "body_too_large")
    assert_problem(container.post(b"\n" * 1025, LINES), 413, "lines_too_many")
    small = Container(tiny_predictor, max_answer_bytes=1000)
    assert "1000" in assert_problem(small.post(png(film()), PNG), 422, "answer_too_large")
    assert_problem(container.post(b"", PNG), 422, "image_unreadable")


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("POST", INVOCATIONS, {"content-type": "text/csv"}, 415, "content_type_unsupported"),
        ("POST", INVOCATIONS, {}, 415, "content_type_unsupported"),
        ("GET", INVOCATIONS, {}, 405, "method_not_allowed"),
        ("GET", "/v1/model", {}, 404, "not_found"),
        ("GET", "/metrics", {}, 404, "not_found"),
    ],
)
def test_what_the_contract_does_not_have_is_a_problem(
    container: Container, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    assert_problem(container.client.request(method, path, headers=headers), status, code)


def test_batch_transform_is_told_what_it_may_send(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    for cpus, transforms, mib in ((1, 1, 50), (2, 2, 50), (4, 4, 25), (64, 16, 6)):
        monkeypatch.setattr("chest_xray.inference.container.invocations.available_cpus", lambda cpus=cpus: cpus)
        assert container.client.get("/execution-parameters").json() == {
            "MaxConcurrentTransforms": transforms,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": mib,
        }


def test_ping_turns_and_work_is_refused_while_draining(container: Container) -> None:
    assert container.client.get("/ping").status_code == 200
    container.admission.drain()
    assert container.client.get("/ping").status_code == 503
    assert_problem(container.post(png(film()), PNG), 503, "draining")


def test_ping_answers_at_once_while_every_place_is_taken(
    tiny_predictor: OnnxPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    predict = OnnxPredictor.predict

    def held(self: OnnxPredictor, image: bytes, *, explain: Collection[str] = ()) -> Prediction:
        assert go_on.wait(60)
        return predict(self, image, explain=explain)

    monkeypatch.setattr(OnnxPredictor, "predict", held)
    container = Container(tiny_predictor)

    async def ask() -> tuple[int, float, list[int]]:
        transport = httpx.ASGITransport(container.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            posts = [asyncio.create_task(client.post(INVOCATIONS, content=png(film()), headers=PNG)) for _ in range(20)]
            await asyncio.sleep(0.2)
            started = time.monotonic()
            ping = await client.get("/ping")
            seconds = time.monotonic() - started
            go_on.set()
            return ping.status_code, seconds, sorted([(await post).status_code for post in posts])

    status, seconds, answers = asyncio.run(ask())
    assert (status, seconds < 0.5) == (200, True)
    assert answers == [200] * 4 + [503] * 16


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def serving(model_dir: Path, *, before: str = "", **options: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The container's own command as a process, once it answers /ping; `before` is shell that runs before it."""
    port = free_port()
    env = environment() | {"SAGEMAKER_BIND_TO_PORT": str(port), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "chest_xray.inference.container", "serve", "--model-dir", str(model_dir)]
    if before:
        command = ["unshare", "--mount", "sh", "-c", f'{before} && exec "$@"', "sh", *command]
    env |= options.pop("env", {})
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for_ping(process, address)
        yield process, address
    finally:
        process.kill()
        process.communicate()


def _wait_for_ping(process: subprocess.Popen[str], address: str) -> None:
    for _ in range(600):
        try:
            assert httpx.get(f"{address}/ping", timeout=2).status_code == 200
        except httpx.TransportError:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        else:
            return
    raise AssertionError("no answer to /ping in 30 s")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("container") / "bundle").root


def test_the_golden_film_has_the_numbers_of_pytorch_in_the_predictor_the_api_and_the_container(bundle: Path) -> None:
    """The bundle's golden logits are those that PyTorch gave when it was exported."""
    manifest = load_bundle(bundle).manifest
    image = (bundle / "golden.png").read_bytes()
    profiles = manifest.findings.values()
    calibrated = [
        1 / (1 + np.exp(-(profile.calibration.slope * logit + profile.calibration.intercept)))
        for profile, logit in zip(profiles, manifest.golden.logits, strict=True)
    ]
    predictor = OnnxPredictor.load(bundle)
    api = Client(create_app(predictor)).post("/v1/predictions", content=image, headers=PNG)
    with serving(bundle) as (_, address):
        container = httpx.post(f"{address}{INVOCATIONS}", content=image, headers=PNG)
    found = {
        "predictor": [score.probability for score in predictor.predict(image).findings],
        "api": probabilities(api.json()),
        "container": probabilities(container.json()),
    }
    for name, numbers in found.items():
        assert np.abs(np.array(numbers) - calibrated).max() <= 1e-4, name
    assert found["predictor"] == found["api"] == found["container"]


def _snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}


READ_ONLY = "mount --make-rprivate / && for point in / /tmp /dev/shm; do mount -o remount,bind,ro $point; done"


def _can_mount_read_only() -> bool:
    if shutil.which("unshare") is None or shutil.which("setpriv") is None:
        return False
    probe = f"({READ_ONLY}) 2>/dev/null; ! touch /tmp/probe /probe 2>/dev/null"
    return subprocess.run(["unshare", "--mount", "sh", "-c", probe], capture_output=True, check=False).returncode == 0


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may look into; pytest's own are for one."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run it as another user")
def test_it_runs_as_nobody_on_a_read_only_file_system_and_changes_no_file(open_folder: Path) -> None:
    model = write_bundle(open_folder / "model").root
    for path in model.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    home = open_folder / "home"
    home.mkdir(mode=0o555)
    before = _snapshot(open_folder)
    options: dict[str, Any] = {"cwd": "/", "env": {"HOME": str(home), "TMPDIR": str(home)}}
    if _can_mount_read_only():
        user = f'set -- setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups "$@"'
        options["before"] = f"({READ_ONLY}) 2>/dev/null; {user}"
    else:
        options |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    image = png(film(7))
    with serving(model, **options) as (process, address):
        uid = Path(f"/proc/{process.pid}/status").read_text()
        answers = [
            httpx.post(
                f"{address}{INVOCATIONS}", content=image, headers=PNG | {ATTRIBUTES: "explain=all;heat_maps=png"}
            ),
            httpx.post(f"{address}{INVOCATIONS}", content=json.dumps({"image": b64(image)}), headers=JSON),
        ]
        process.send_signal(signal.SIGTERM)
        out, log = process.communicate(timeout=30)
    assert f"Uid:\t{NOBODY}\t{NOBODY}" in uid
    assert [answer.status_code for answer in answers] == [200, 200]
    assert process.returncode == 0
    assert _snapshot(open_folder) == before
    entries = [json.loads(line) for line in out.splitlines()]
    assert [(entry["event"], entry["caller"], entry["outcome"]) for entry in entries] == [
        ("prediction", "sagemaker", "scored")
    ] * 2
    lines = [json.loads(line) for line in log.splitlines()]
    assert any(entries[0]["image_key"] in line["message"] for line in lines)
    assert {line["event"] for line in lines} == {"log"}


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (["train"], {}, "This container serves. Train with"),
        (["python"], {}, "The command is 'python'; expected serve"),
        ([], {}, "the following arguments are required"),
        (["serve", "--model-dir", "{model}"], {"SAGEMAKER_BIND_TO_PORT": "http"}, "SAGEMAKER_BIND_TO_PORT is 'http'"),
        (["serve", "--model-dir", "{nothing}"], {}, "is not a bundle: it has no model.json"),
        (["serve", "--model-dir", "{broken}"], {}, "model.onnx was changed"),
    ],
)
def test_what_cannot_be_served_ends_with_2_and_one_line(
    tmp_path: Path, arguments: list[str], settings: dict[str, str], message: str
) -> None:
    folders = {name: tmp_path / name for name in ("model", "broken", "nothing")}
    for name in ("model", "broken"):
        write_bundle(folders[name])
    with (folders["broken"] / "model.onnx").open("r+b") as file:
        file.write(b"\x00")
    done = subprocess.run(
        [sys.executable, "-m", "chest_xray.inference.container", *(text.format(**folders) for text in arguments)],
        env=environment() | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert done.stderr.startswith("error: ")
    assert message in done.stderr


def test_a_port_in_use_names_the_variable_that_chooses_another(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle").root
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EndpointError, match=rf"Port {port} on this machine is in use\. .*SAGEMAKER_BIND_TO_PORT"):
            serve_container(bundle, ContainerSettings(bind_to_port=port))


IMPORTS = """
import sys, time
import chest_xray.inference.container.__main__, chest_xray.inference.container.invocations
import chest_xray.inference.http.server
import chest_xray.inference.predictor
print(sorted({"fastapi", "torch", "pydicom", "prometheus_client", "rich", "typer", "boto3"} & sys.modules.keys()))
"""


def test_it_starts_without_what_it_does_not_need() -> None:
    done = run_python(IMPORTS)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


LOAD = """
import sys
from pathlib import Path
from chest_xray.inference.predictor import OnnxPredictor

OnnxPredictor.load(Path(sys.argv[1]))
"""


def test_onnx_runtime_keeps_no_device_id_and_reports_to_nobody(bundle: Path, tmp_path: Path) -> None:
    # ONNX Runtime is silent by itself where these say that it is tested.
    kept = {name: value for name, value in environment().items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    env = kept | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "GITHUB_ACTIONS": ""}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(bundle)], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
