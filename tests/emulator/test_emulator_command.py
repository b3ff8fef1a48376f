"""`cxr emulator` as a person runs it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.emulators import wait_until
from tests.support.processes import environment, run_cxr


def cxr(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chest_xray.cli", *arguments]
    return subprocess.run(
        command, env=environment() | variables, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def exported() -> Iterator[dict[str, str]]:
    """The variables of an emulator in the background."""
    done = cxr("emulator", "--background", "--port", "0")
    assert done.returncode == 0, done.stderr
    lines = [line.removeprefix("export ").split("=", 1) for line in done.stdout.splitlines() if line[0] != "#"]
    variables = {name: value.strip("'") for name, value in lines}
    yield variables
    cxr("emulator", "stop", **variables)


def test_in_the_background_until_it_is_stopped(exported: dict[str, str]) -> None:
    assert list(exported)[:2] == ["AWS_ENDPOINT_URL", "AWS_SHARED_CREDENTIALS_FILE"]
    folder = Path(exported["AWS_SHARED_CREDENTIALS_FILE"]).parent
    assert folder.is_dir()
    # A proxy for other hosts is not asked.
    refused = cxr("emulator", "reclaim", "absent", **exported, http_proxy="http://127.0.0.1:1")
    assert (refused.returncode, refused.stderr) == (2, "error: There is no training job 'absent'.\n")
    assert cxr("emulator", "stop", **exported).returncode == 0
    wait_until(lambda: not folder.exists())
    again = cxr("emulator", "stop", **exported)
    assert again.returncode == 2
    assert 'run eval "$(cxr emulator --background)" first' in again.stderr


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for options in ((), ("--background",)):
            done = run_cxr("emulator", "--port", port, *options, home=tmp_path)
            assert done.returncode == 2
            assert done.stderr.startswith(f"error: Port {port} of 127.0.0.1 cannot be used (Address already in use")
            assert len(done.stderr.splitlines()) == 1


def test_an_order_elsewhere_than_to_an_emulator_is_refused(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = AKIA\n")
    done = cxr(
        "emulator",
        "stop",
        AWS_ENDPOINT_URL="https://example.com",
        AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "credentials"),
    )
    assert done.returncode == 2
    assert "AWS_ENDPOINT_URL is https://example.com, which is no emulator" in done.stderr
    assert "NAME=COMMAND" in run_cxr("emulator", "--port", 0, "--image", "x", home=tmp_path).stderr


def test_an_order_to_a_port_without_an_emulator_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = AKIA\n")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    variables = {"AWS_ENDPOINT_URL": url, "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    done = cxr("emulator", "reclaim", "job", **variables)
    assert done.returncode == 2
    assert done.stderr == (
        f'error: No emulator answers at {url}: run eval "$(cxr emulator --background)" first, or its export lines in '
        "this shell.\n"
    )
