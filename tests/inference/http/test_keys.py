"""API keys in their file, and `cxr keys`."""

import hashlib
import json
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.processes import run_cxr, start_python

from chest_xray.errors import AccessError, SettingsError
from chest_xray.inference.http.keys import KeyFile, key_row

ADD = """
import sys
from pathlib import Path
from chest_xray.inference.http.keys import KeyFile

for number in range(10):
    KeyFile(Path(sys.argv[1])).add(f"{sys.argv[2]}-{number}")
"""


def test_a_key_has_256_random_bits_and_only_their_hash_is_kept(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    key, text = file.add("ward-3")
    prefix, key_id, secret = text.split("_")
    assert (prefix, key_id, len(bytes.fromhex(secret))) == ("cxr", key.id, 32)
    assert key.secret_sha256 == hashlib.sha256(secret.encode()).hexdigest()
    kept = file.path.read_text()
    assert secret not in kept
    assert not any(secret[at : at + 8] in kept for at in range(0, 64, 8))
    assert (key.name, key.rate, key.revoked) == ("ward-3", 600, None)
    assert file.read() == (key,)
    assert file.add("ward-4")[1] != text


def test_the_file_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        KeyFile(tmp_path).add("ward-3")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys.json", "keys.lock"]


@pytest.mark.parametrize("name", ["", " ward", "-ward", "ward 3", "ward\n", "wärd", "x" * 65, "../x"])
def test_a_name_is_short_and_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="expected 1 to 64 letters, digits"):
        KeyFile(tmp_path).add(name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rate", [0, -1, 1_000_001])
def test_a_rate_is_at_least_one(tmp_path: Path, rate: int) -> None:
    with pytest.raises(SettingsError, match=f"rate is {rate}; expected 1 to 1000000"):
        KeyFile(tmp_path).add("ward-3", rate)


def test_a_name_is_used_once_until_its_key_is_revoked(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    first, _ = file.add("ward-3")
    with pytest.raises(SettingsError, match="There is a key named ward-3 already"):
        file.add("ward-3")
    file.revoke(first.id)
    second, _ = file.add("ward-3")
    assert [(key.id, key.revoked is None) for key in file.read()] == [(first.id, False), (second.id, True)]


def test_an_unknown_key_and_a_revoked_one_cannot_be_revoked(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    key, _ = file.add("ward-3")
    with pytest.raises(AccessError, match="No key has the id 'ffff'"):
        file.revoke("ffff")
    file.revoke(key.id)
    with pytest.raises(AccessError, match=rf"The key {key.id} \(ward-3\) was revoked at "):
        file.revoke(key.id)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Invalid JSON"),
        (b"[]", "the document: Input should be an object"),
        (b'{"format": "cxr-keys/2"}', "format: Input should be 'cxr-keys/1'"),
        (b'{"keys": [{"id": "x"}]}', r"keys\.0\.id: String should match"),
    ],
)
def test_a_file_that_is_none_of_ours_is_an_error_and_is_left_as_it_is(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    file = KeyFile(tmp_path)
    file.path.write_bytes(content)
    with pytest.raises(AccessError, match=reason):
        file.read()
    with pytest.raises(AccessError, match=reason):
        file.add("ward-3")
    assert file.path.read_bytes() == content


def test_keys_of_processes_at_once_are_all_kept(tmp_path: Path) -> None:
    processes = [start_python(ADD, tmp_path, name) for name in ("a", "b")]
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(lambda process: (process.communicate()[1], process.returncode), processes))
    assert ends == [("", 0)] * 2
    assert {key.name for key in KeyFile(tmp_path).read()} == {f"{name}-{n}" for name in "ab" for n in range(10)}


def test_the_commands_print_a_key_once(tmp_path: Path) -> None:
    added = run_cxr("keys", "add", "ward-3", "--rate", "60", home=tmp_path)
    assert re.fullmatch(r"cxr_[0-9a-f]{8}_[0-9a-f]{64}\n", added.stdout), added.stderr
    assert "It is shown this once" in added.stderr
    (key,) = KeyFile(tmp_path).read()
    listed = run_cxr("keys", "list", "--json", home=tmp_path)
    assert json.loads(listed.stdout) == [key_row(key)]
    assert key_row(key).keys() == {"id", "name", "rate", "created", "revoked"}
    table = run_cxr("keys", "list", home=tmp_path).stdout
    assert re.search(rf"{key.id} +ward-3 +60 +\d{{4}}-\d\d-\d\d \d\d:\d\d +in use", table)
    revoked = run_cxr("keys", "revoke", key.id, "--json", home=tmp_path)
    assert json.loads(revoked.stdout)["revoked"] is not None
    again = run_cxr("keys", "revoke", key.id, home=tmp_path)
    assert (again.returncode, len(again.stderr.splitlines())) == (2, 1)


def test_add_prints_json_with_the_key_for_programs(tmp_path: Path) -> None:
    answer = json.loads(run_cxr("keys", "add", "ward-3", "--json", home=tmp_path).stdout)
    assert answer["key"].startswith(f"cxr_{answer['id']}_")
