"""Which names findings may have."""

import pytest

from chest_xray.finding_names import check_findings
from chest_xray.findings import FINDINGS


def test_usual_names_pass_in_their_order() -> None:
    assert check_findings(FINDINGS) == FINDINGS
    names = ("Lung Opacity", "Support-Devices", "T1", "Enlarged Cardiomediastinum")
    assert check_findings(iter(names)) == names


@pytest.mark.parametrize(
    "name",
    [
        "", " Mass", "Mass ", "a,b", "a/b", "..", "a.b", "<b>", "a|b", "1st", "Größe", "a  b", "x" * 65, "top", "all",
        "none", "view", "embedding", "a\nb",
    ],
)  # fmt: skip
def test_what_would_not_pass_as_a_column_a_query_or_a_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a finding's name; expected letters"):
        check_findings(["Mass", name])


def test_none_and_the_same_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="there is no finding"):
        check_findings([])
    with pytest.raises(ValueError, match="Mass is there twice"):
        check_findings(["Mass", "Edema", "Mass"])
