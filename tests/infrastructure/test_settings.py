"""stages.toml is checked before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from infrastructure.settings import STAGES, StagesError, read_stages


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = STAGES.read_text()
    assert old in text
    (path := tmp_path / "stages.toml").write_text(text.replace(old, new, 1))
    return path


def test_the_stages_stand_in_the_order_of_promotion() -> None:
    assert [(one.name, one.mode) for one in read_stages()] == [
        ("dev", "cheap"),
        ("staging", "private"),
        ("prod", "private"),
    ]


def test_a_mode_that_is_given_wins() -> None:
    assert {one.mode for one in read_stages(mode="private")} == {"private"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('account = "111111111111"', 'account = "1111"', "dev.account is '1111'"),
        ('"us-east-1a", "us-east-1b"', '"us-east-1a", "eu-west-1a"', "zones eu-west-1a are not in us-east-1"),
        ("log_days = 365", "log_days = 30", "dev.log_days is '30'"),
        ("budget_usd = 50\n", "", "dev.budget_usd is missing"),
        ("log_days", "pet = 1\nlog_days", "dev.pet is '1': Extra inputs"),
        ('mode = "cheap"', 'mode = "free"', "dev.mode is 'free'"),
        ("[dev]", "[test]", "test.name is 'test'"),
        ('account = "222222222222"', 'account = "111111111111"', "two stages share an account"),
    ],
)
def test_what_cannot_be_made_is_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = changed(tmp_path, old, new)
    with pytest.raises(StagesError) as caught:
        read_stages(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
