"""The command line: help for every command, one line for every mistake, and documents that agree with it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.nih_folders import write_nih_folder
from tests.support.processes import ROOT, run_cxr
from typer.core import TyperGroup
from typer.main import get_command

from chest_xray.cli import app
from chest_xray.settings import HostingSettings, ProcessingSettings, SageMakerSettings, Settings
from chest_xray.training.config import TrainConfig

GROUP = get_command(app)
assert isinstance(GROUP, TyperGroup)
COMMANDS = GROUP.commands


def refused(home: Path, *arguments: object) -> str:
    """Run a command that must end with one line and exit code 2; returns the line."""
    done = run_cxr(*arguments, home=home)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_of_itself(name: str) -> None:
    assert f"Example: cxr {name}" in COMMANDS[name].help


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, name) for group in ("train", "monitor", "emulator", "keys") for name in COMMANDS[group].commands],
)
def test_every_subcommand_shows_an_example_of_itself(group: str, name: str) -> None:
    assert f"Example: cxr {group} {name}" in COMMANDS[group].commands[name].help


def test_the_order_of_the_commands_is_the_flow() -> None:
    model = ["phantom", "download-nih", "prepare-data", "train", "evaluate", "export"]
    others = ["ensemble", "compress", "test-time", "robustness", "compare"]
    release = ["register", "models", "approve", "reject", "deploy"]
    assert list(COMMANDS) == [
        *model,
        *others,
        *release,
        "predict",
        "score",
        "serve",
        "doctor",
        "monitor",
        "emulator",
        "keys",
    ]


def test_training_has_an_option_for_every_setting_with_its_default() -> None:
    options = {option.name: option.default for option in COMMANDS["train"].params}
    for name, field in TrainConfig.model_fields.items():
        assert options[name] == field.default


def without_completion(reference: str) -> str:
    """Without the options for completion, which Typer writes only where it can tell which shell it runs in."""
    return re.sub(r"^\* `--(install|show)-completion`: .*\n", "", reference, flags=re.MULTILINE)


def test_the_command_reference_is_up_to_date(tmp_path: Path) -> None:
    output = tmp_path / "cli.md"
    arguments = ["chest_xray.cli.app", "utils", "docs", "--name", "cxr", "--output", str(output)]
    subprocess.run([sys.executable, "-m", "typer", *arguments], check=True, capture_output=True, cwd=ROOT)
    committed = (ROOT / "docs" / "cli.md").read_text()
    assert without_completion(output.read_text()) == without_completion(committed), "see CONTRIBUTING.md: write it anew"


SETTINGS = (
    ("CXR_", Settings),
    *(("CXR_SAGEMAKER_", model) for model in (SageMakerSettings, ProcessingSettings, HostingSettings)),
)


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "deployment.md").read_text()
    for prefix, model in (
        ("CXR_", Settings),
        ("CXR_SAGEMAKER_", SageMakerSettings),
        ("CXR_SAGEMAKER_", ProcessingSettings),
    ):
        for name, field in model.model_fields.items():
            default = "unset" if field.default in (None, ()) else f"`{field.default}`"
            variable = field.validation_alias or f"{prefix}{name.upper()}"
            assert f"| `{variable}` | {default} | {field.description} |" in text


@pytest.mark.parametrize("document", ["README.md", *(f"docs/{name}.md" for name in ("training", "deployment"))])
def test_documents_name_commands_and_options_that_exist(document: str) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)
    found = re.findall(r"^cxr ([\w-]+)(.*?)(?:#.*)?$", "\n".join(blocks), flags=re.MULTILINE)
    assert found
    for name, rest in found:
        command = COMMANDS[name]
        first = (rest.split() or [""])[0]
        # A few commands have options of their own and subcommands too.
        if first in getattr(command, "commands", {}) or not getattr(command, "invoke_without_command", True):
            command = command.commands[first]
        options = {flag for parameter in command.params for flag in parameter.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= options, (name, rest)


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{document} links to {target}"


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_nih_folder(tmp_path / "nih", patients=4)
    for film in (tmp_path / "nih" / "images").iterdir():
        film.unlink()
    line = refused(tmp_path, "prepare-data", "--source", tmp_path / "nih", "--output", tmp_path / "shards")
    assert "holds no images" in line
    assert not (tmp_path / "shards").exists()


def test_a_foreign_label(tmp_path: Path) -> None:
    write_nih_folder(tmp_path / "nih", patients=4)
    table = tmp_path / "nih" / "Data_Entry_2017_v2020.csv"
    table.write_text(table.read_text().replace("Hernia", "Broken_Rib", 1))
    line = refused(tmp_path, "prepare-data", "--source", tmp_path / "nih", "--output", tmp_path / "shards")
    assert "Broken_Rib" in line
    assert "Hernia" in line
    assert not (tmp_path / "shards").exists()


@pytest.mark.slow
def test_an_unfinished_step_names_the_command_to_run(tmp_path: Path) -> None:
    assert "prepare-data" in refused(tmp_path, "train", "--data", tmp_path, "--output", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    write_nih_folder(tmp_path / "nih", patients=8)
    done = run_cxr(
        "prepare-data", "--source", tmp_path / "nih", "--output", tmp_path / "s", "--image-size", 32, home=tmp_path
    )
    assert done.returncode == 0, done.stderr
    for command in ("evaluate", "export"):
        assert "cxr train" in refused(tmp_path, command, "--run", tmp_path / "run", "--data", tmp_path / "s")


def test_files_that_are_no_films(tmp_path: Path) -> None:
    assert "is not a bundle" in refused(tmp_path, "register", "--bundle", tmp_path)
    assert "does not exist" in refused(tmp_path, "predict", tmp_path / "absent.png")


def test_a_server_that_others_reach_without_a_key(tmp_path: Path) -> None:
    assert "port is 70000" in refused(tmp_path, "serve", "--port", "70000")
    assert "TLS needs both files" in refused(tmp_path, "serve", "--tls-key", "key.pem")


def test_an_unknown_command_and_option_end_with_2(tmp_path: Path) -> None:
    for arguments in (("nonsense",), ("train", "--epochs", "many"), ("train", "--learning", "1")):
        done = run_cxr(*arguments, home=tmp_path)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_a_bad_setting_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chest_xray.cli", "models"],
        env={"CXR_BACKEND": "cloud", "CXR_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        2,
        "error: CXR_BACKEND is 'cloud': Input should be 'local' or 'sagemaker'.\n",
    )
