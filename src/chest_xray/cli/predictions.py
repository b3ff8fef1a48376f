"""The answer of `cxr predict`: a table for people, the API's own form for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from chest_xray.cli.tables import print_lines, print_table, results_table
from chest_xray.inference.explain import by_urgency
from chest_xray.notices import describe_source

if TYPE_CHECKING:
    from rich.table import Table

    from chest_xray.bundle import Manifest
    from chest_xray.prediction import FilmFacts, Prediction


_FLAGS: Final = {True: "flagged", False: "", None: "too few cases"}


def print_prediction(file: str, prediction: Prediction, manifest: Manifest, top: int) -> None:
    """Print what is known of the film, what speaks against its scores, and the `top` findings."""
    warned = [Text(line, style="bold") for line in warnings_of(prediction)]
    print_lines([Text(file), Text(f"{facts_of(prediction.film)}; event {prediction.event_id}"), *warned])
    print_table(prediction_table(prediction, manifest, top))


def facts_of(film: FilmFacts) -> str:
    """`application/dicom, 2048 x 2500, PA, 58 years, F`, without what is not known."""
    age = None if film.age is None else f"{film.age} years"
    known = (film.media_type, f"{film.width} x {film.height}", film.view, age, film.sex)
    return ", ".join(fact for fact in known if fact is not None)


def warnings_of(prediction: Prediction) -> list[str]:
    """What speaks against the scores: the guard's verdict where it refuses the film, then every quality warning."""
    found = [warning.detail for warning in prediction.quality]
    guard = prediction.guard
    if not guard.in_distribution:
        far = f"distance {guard.distance:.1f}, at most {guard.threshold:.1f} expected"
        found = [f"This film is unlike the training films ({far}). Its scores mean nothing.", *found]
    return [*found, "Its scores are withheld: read this film yourself."] if prediction.withheld else found


def prediction_table(prediction: Prediction, manifest: Manifest, top: int) -> Table:
    """The `top` findings of one film, those over their operating point first."""
    model = prediction.model
    source = describe_source(manifest.provenance.label_version)
    rows = results_table(caption=f"{model.name} version {model.version}, trained on {source}.")
    rows.add_column("finding", no_wrap=True)
    rows.add_column("probability", justify="right")
    rows.add_column("operating point", justify="right")
    rows.add_column("flag")
    for score in sorted(prediction.findings, key=by_urgency, reverse=True)[:top]:
        flag = "withheld" if prediction.withheld else _FLAGS[score.flag]
        point = "n/a" if score.operating_point is None else f"{score.operating_point:.3f}"
        style = "dim" if prediction.withheld else "bold" if score.flag else None
        rows.add_row(score.finding, f"{score.probability:.3f}", point, flag, style=style)
    return rows


def prediction_row(file: str, request_id: str, prediction: Prediction) -> dict[str, Any]:
    """The same for programs: what the API answers to a request with this one film, below the name of its file."""
    from chest_xray.inference.answers import PredictionAnswer

    answer = PredictionAnswer.answering(request_id, prediction)
    return {"file": file, **answer.model_dump(mode="json")}
