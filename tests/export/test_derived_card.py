"""The card of a bundle made of others: programs read the new figures, and people are told whose the old ones are."""

import pytest
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from tests.support.bundles import manifest
from tests.support.evaluations import evaluation

from chest_xray.bundle import Manifest
from chest_xray.export.derived_card import derived_card


def result(name: str, value: float) -> EvalResult:
    return EvalResult("image-classification", "nih", "NIH", "roc_auc", value, metric_name=name)


OLD = ModelCardData(
    license="apache-2.0",
    model_name="Tiny",
    eval_results=[result("mean AUROC", 0.9), result("AUROC, Mass", 0.91), result("AUROC, Hernia", 0.92)],
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return manifest(tmp_path_factory.mktemp("empty"))


def derived(card: str, source: Manifest) -> str:
    return derived_card(
        card, "Variant int8", "Half the size.", before="the graph before", own=evaluation(), source=source
    )


def test_programs_read_the_new_figures_and_none_of_the_old(source: Manifest) -> None:
    """Hernia has no AUROC of its own here, so the source's does not stay in its place."""
    data = ModelCard(derived(f"---\n{OLD.to_yaml()}\n---\n\n# Tiny\n", source)).data
    assert isinstance(data, ModelCardData)
    found = {one.metric_name: one.metric_value for one in data.eval_results or []}
    assert found == {"mean AUROC": 0.812, "AUROC, Mass": 0.75}
    assert (data.license, data.model_name) == ("apache-2.0", "Tiny")


def test_people_see_both_figures_above_the_line(source: Manifest) -> None:
    """evaluation.py gives each finding 0.75, bundles.py gives the k-th of the source 0.7 + 0.01 k."""
    head, line, rest = derived("# Tiny\n\nAll of it.\n", source).partition("\n\n---\n\n")
    assert line
    assert head.startswith("# Variant int8\n\nHalf the size.\n\n| finding | this bundle | the graph before |\n")
    assert "| Effusion | 0.750 (0.700 to 0.800) | 0.720 (0.620 to 0.820) |" in head
    assert "| Hernia | n/a (one class only) | " in head
    assert "| mean of 13 | 0.812 (0.790 to 0.831) | " in head
    assert "below this line is of the graph before" in head
    assert rest == "# Tiny\n\nAll of it.\n"


def test_a_card_without_metadata_gets_none(source: Manifest) -> None:
    assert not derived("# Tiny\n", source).startswith("---")
