"""Requests held to AWS's service model: what clients do not check themselves."""

from typing import Any

import botocore.session
import pytest

from chest_xray.service_model import find_faults

SHAPE: Any = (
    botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateTrainingJob").input_shape
)


def faults(**request: Any) -> list[str]:
    return [str(fault) for fault in find_faults(SHAPE, request)]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"TrainingJobName": "x" * 64}, "TrainingJobName has 64 characters; AWS takes at most 63."),
        ({"TrainingJobName": "a_b"}, "TrainingJobName is 'a_b'; AWS takes what matches [a-zA-Z0-9]("),
        ({"HyperParameters": {"k": "1" * 2501}}, "HyperParameters.k has 2501 characters; AWS takes at most 2500."),
        ({"HyperParameters": dict.fromkeys(map(str, range(101)), "")}, "HyperParameters has 101 entries; AWS takes"),
        ({"Tags": [{"Key": "ok", "Value": ""}, {"Key": "a!", "Value": ""}]}, "Tags[1].Key is 'a!'; AWS takes what"),
        ({"Environment": {"1X": ""}}, "Environment key '1X' is '1X'; AWS takes what matches"),
        ({"ResourceConfig": {"KeepAlivePeriodInSeconds": 21601}}, "is 21601; AWS takes at most 21600."),
        ({"ResourceConfig": {"InstanceType": "ml.x9"}}, "ResourceConfig.InstanceType is 'ml.x9'; AWS takes one of"),
        ({"AlgorithmSpecification": {"TrainingInputMode": "Slow"}}, "'Slow'; AWS takes Pipe or File or FastFile."),
    ],
)
def test_each_kind_of_limit(request_: dict[str, Any], said: str) -> None:
    found = faults(**request_)
    assert found
    assert any(said in fault for fault in found), found


def test_letters_of_any_language_are_letters() -> None:
    assert faults(Tags=[{"Key": "Klinik", "Value": "Zürich 4. Stock"}]) == []
