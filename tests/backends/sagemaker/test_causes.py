"""The likely cause of a failure, from the reason and the log's last lines."""

import pytest

from chest_xray.backends.sagemaker.causes import likely_cause


@pytest.mark.parametrize(
    ("reason", "line", "cause"),
    [
        ("AlgorithmError: , exit code: 1", "ModuleNotFoundError: No module named 'cv2'", "lacks a library (No module"),
        ("AlgorithmError: , exit code: 1", "torch.OutOfMemoryError: CUDA out of memory. Tried", "lower --batch-size"),
        ("AlgorithmError: , exit code: 137", "", "take a larger --instance-type"),
        ("AlgorithmError: , exit code: 1", "OSError: [Errno 28] No space left on device", "raise --volume-gb"),
        ("AlgorithmError: , exit code: 1", "PermissionError: [Errno 13] '/opt'", "may not write there ([Errno 13]"),
        ("AlgorithmError: , exit code: 127", "sh: train: not found", "is not there"),
        ("ClientError: Data download failed:No S3 objects found under", "", "prefix is empty"),
        ("", "botocore: AccessDenied when calling PutObject", "lacks a permission"),
        ("", "exec format error", "linux/amd64"),
        ("CapacityError: Unable to provision requested ML compute capacity.", "", "no such instance was free"),
    ],
)
def test_what_the_last_lines_mean(reason: str, line: str, cause: str) -> None:
    assert cause in (likely_cause(reason, [line]) or "")


def test_what_nobody_knows_is_not_guessed() -> None:
    assert likely_cause("AlgorithmError: loss is nan, exit code: 1", ["epoch=1"]) is None
    assert likely_cause("", ["CUDA out of memory", *["later"] * 20]) is None
