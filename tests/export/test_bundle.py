"""A bundle that was altered in any way is refused, and the message names what was altered."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.bundles import profile, write_bundle

from chest_xray.bundle import MANIFEST, REQUIRED_FILES, load_bundle
from chest_xray.errors import BundleError
from chest_xray.findings import FINDINGS

LISTED = (*REQUIRED_FILES, "baseline/scores.csv")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that each test leaves as it found it."""
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny").root


def rewrite(root: Path, **changes: Any) -> None:
    """Change fields of model.json, as an editor would."""
    path = root / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_digest_is_the_sha256_of_the_manifest_and_covers_every_file(shared: Path) -> None:
    bundle = load_bundle(shared)
    assert bundle.digest == hashlib.sha256((shared / MANIFEST).read_bytes()).hexdigest()
    assert set(bundle.manifest.files) == set(LISTED)
    for name, sha256 in bundle.manifest.files.items():
        assert sha256 == hashlib.sha256((shared / name).read_bytes()).hexdigest()


def test_equal_content_gives_an_equal_digest_and_other_content_another(shared: Path, tmp_path: Path) -> None:
    digest = load_bundle(shared).digest
    assert write_bundle(tmp_path / "same").digest == digest
    assert write_bundle(tmp_path / "other", mean_auroc=0.77).digest != digest


@given(name=st.sampled_from(LISTED), where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_one_changed_byte_is_refused_by_file_name(shared: Path, name: str, where: float, flip: int) -> None:
    path = shared / name
    original = path.read_bytes()
    altered = bytearray(original)
    altered[int(where * len(original))] ^= flip
    path.write_bytes(altered)
    try:
        with pytest.raises(BundleError, match=re.escape(str(path)) + " was changed"):
            load_bundle(shared)
    finally:
        path.write_bytes(original)


@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_one_changed_byte_of_the_manifest_never_passes_as_the_same_bundle(
    shared: Path, where: float, flip: int
) -> None:
    path = shared / MANIFEST
    original = path.read_bytes()
    digest = load_bundle(shared).digest
    altered = bytearray(original)
    altered[int(where * len(original))] ^= flip
    path.write_bytes(altered)
    try:
        found = load_bundle(shared).digest
    except BundleError:
        found = None
    finally:
        path.write_bytes(original)
    assert found != digest


@pytest.mark.parametrize("name", LISTED)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    root = write_bundle(tmp_path / "tiny").root
    (root / name).unlink()
    with pytest.raises(BundleError, match=f"lacks {re.escape(name)}"):
        load_bundle(root)


@pytest.mark.parametrize("name", ["notes.txt", "baseline/more.csv", "baseline/model.json"])
def test_an_added_file_is_named(tmp_path: Path, name: str) -> None:
    root = write_bundle(tmp_path / "tiny").root
    (root / name).write_text("x")
    with pytest.raises(BundleError, match=f"holds {re.escape(name)}"):
        load_bundle(root)


@pytest.mark.parametrize("name", REQUIRED_FILES)
def test_a_manifest_that_forgets_a_required_file_is_refused(tmp_path: Path, name: str) -> None:
    bundle = write_bundle(tmp_path / "tiny")
    (bundle.root / name).unlink()
    rewrite(bundle.root, files={key: value for key, value in bundle.manifest.files.items() if key != name})
    with pytest.raises(BundleError, match=f"does not list {re.escape(name)}"):
        load_bundle(bundle.root)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is not a bundle: it has no model\.json"):
        load_bundle(tmp_path)


def test_other_findings_than_nihs_are_as_good(tmp_path: Path) -> None:
    names = ("Lung Opacity", "Support-Devices", "Fracture")
    bundle = load_bundle(write_bundle(tmp_path / "tiny", names=names).root)
    assert (bundle.manifest.logits, tuple(bundle.manifest.findings)) == (names, names)
    assert bundle.manifest.findings["Fracture"] == profile(2)
    profiles = json.loads((bundle.root / MANIFEST).read_text())["findings"]
    rewrite(bundle.root, logits=["../x"], findings={"../x": profiles["Fracture"]})
    with pytest.raises(BundleError, match=r"'\.\./x' cannot be a finding's name; expected letters"):
        load_bundle(bundle.root)


def test_a_bundle_from_before_its_logits_were_named_has_its_findings_in_order(tmp_path: Path) -> None:
    root = write_bundle(tmp_path / "tiny").root
    fields = json.loads((root / MANIFEST).read_text())
    del fields["logits"]
    (root / MANIFEST).write_text(json.dumps(fields))
    assert tuple(load_bundle(root).manifest.findings) == FINDINGS


def test_a_finding_that_no_logit_is_of_is_refused_by_name(tmp_path: Path) -> None:
    root = write_bundle(tmp_path / "tiny").root
    findings = json.loads((root / MANIFEST).read_text())["findings"]
    rewrite(root, findings={name.replace("Mass", "Fracture"): value for name, value in findings.items()})
    with pytest.raises(BundleError, match="Fracture"):
        load_bundle(root)


def test_findings_in_another_order_are_refused(tmp_path: Path) -> None:
    root = write_bundle(tmp_path / "tiny").root
    findings = json.loads((root / MANIFEST).read_text())["findings"]
    rewrite(root, findings=dict(reversed(findings.items())))
    with pytest.raises(BundleError, match=f"findings are Hernia, .* expected {FINDINGS[0]}, {FINDINGS[1]}"):
        load_bundle(root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "cxr-bundle/2"}, "format"),
        ({"architecture": "resnet50"}, "architecture"),
        ({"image_size": 16}, "image_size"),
        ({"normalisation": {"mean": 0.5, "std": 0.0}}, "normalisation.std"),
        ({"golden": {"logits": [0.0] * 13}}, "13 logits"),
        ({"surprise": 1}, "surprise"),
        ({"mean_auroc": 1.5}, "mean_auroc"),
    ],
)
def test_a_manifest_that_does_not_fit_this_project_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    root = write_bundle(tmp_path / "tiny").root
    rewrite(root, **changes)
    with pytest.raises(BundleError, match=message):
        load_bundle(root)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff\xfe", b'{"mean_auroc": NaN}'])
def test_a_manifest_that_is_no_manifest_is_one_bundle_error(tmp_path: Path, raw: bytes) -> None:
    root = write_bundle(tmp_path / "tiny").root
    (root / MANIFEST).write_bytes(raw)
    with pytest.raises(BundleError, match=r"model\.json"):
        load_bundle(root)
