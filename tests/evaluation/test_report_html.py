"""report.html: one file that needs nothing else, warnings first, nothing unescaped, no number but evaluation.json's."""

import io
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jinja2 import UndefinedError
from PIL import Image
from tests.support.evaluations import evaluation, profiles, subgroups

from chest_xray.errors import TrainingError
from chest_xray.evaluation.html_report.charts import Forest, Row, UnitSquare, thinned
from chest_xray.evaluation.html_report.curves import TestScores, reliability
from chest_xray.evaluation.html_report.material import Material
from chest_xray.evaluation.html_report.page import templates
from chest_xray.evaluation.html_report.report import render, warnings, write_report
from chest_xray.evaluation.results import Issue
from chest_xray.findings import FINDINGS


def scores(n: int = 120) -> TestScores:
    rng = np.random.default_rng(0)
    labels = (rng.random((n, 14)) < 0.3).astype(np.uint8)
    labels[:, FINDINGS.index("Hernia")] = 0
    logits = labels + rng.standard_normal((n, 14)) - 1
    return TestScores(labels, logits, 1 / (1 + np.exp(-logits)))


def material(panel: bytes | None = None, **changes: object) -> Material:
    return Material(evaluation(**changes), profiles(), scores(), panel)


def part(template: str, macro: str, *args: object) -> str:
    return str(getattr(templates().get_template(f"{template}.html.j2").module, macro)(*args))


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_file_asks_for_nothing_from_elsewhere() -> None:
    text = render(material(panel=b"\x89PNG"))
    tags = Tags(text).found
    names = {name for name, _ in tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "form"}
    for name, attributes in tags:
        address = attributes.get("src") or attributes.get("href") or ""
        assert address == "" or address.startswith(("#", "data:image/png;base64,")), (name, address)
    assert "url(" not in text
    assert "@import" not in text
    policies = [found["content"] for _, found in tags if found.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_warnings_stand_before_every_figure_and_name_what_they_are_about() -> None:
    text = render(material(label_version="phantom"))
    assert text.index("Read first") < text.index("mean AUROC") < text.index("<svg")
    found = warnings(evaluation(label_version="phantom"))
    assert found[0] == "These are phantom films, drawn by a program. No figure here says anything about patients."
    assert found[1] == "Prevalence differs between test and validation: Effusion 25.0% against 10.0%."
    assert "Hernia: no test image with it; it is not in the mean." in found
    assert "Hernia: it is never flagged." in found
    assert len(set(found)) == len(found)
    assert "Heat maps point worse than the finding's average place: Effusion." in found
    assert "7 boxes are of images that are not there." in found


def test_films_of_patients_are_not_called_phantoms() -> None:
    text = render(material())
    assert "phantom" not in text.lower()
    assert "Evaluation on 120 NIH images, labels v2020" in text


def test_the_figures_are_those_of_the_evaluation() -> None:
    text = render(material())
    assert "0.812 (0.790 to 0.831)" in text
    assert "0.750 (0.700 to 0.800)" in text
    assert "one class only" in text
    assert "<dd>0.812<small>0.790 to 0.831</small></dd>" in text
    assert "0.40, 0.10, 0.20, 0.60" in text  # pointing game: network, noise, the middle, average place


def cells(text: str, first: str) -> list[list[str]]:
    """The rows of any table that begin with `first`."""
    rows = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", unescape(row)) for row in re.findall(r"<tr.*?</tr>", text)]
    return [row[1:] for row in rows if row and row[0] == first]


def test_thresholds_calibration_and_shift_are_those_of_the_evaluation() -> None:
    rows = cells(render(material()), "Effusion")
    assert ["platt", "0.281", "0.119", "0.207", "0.037", "0.041"] in rows
    rates = ["0.80 (0.66 to 0.93)", "0.70 (0.61 to 0.79)", "0.47 (0.35 to 0.60)", "n/a", "0.59"]
    assert ["0.222", *rates] in rows
    assert ["24", "27", "6", "63", "0.80 / 0.70"] in rows
    assert ["0.100", "0.250", "3.00 (2.20 to 4.10)", "yes"] in rows
    text = render(material())
    assert "Never flagged, because validation films gave no threshold: Hernia." in text
    assert cells(text, "view AP") == [["0.35", "0.566", "+0.44 (0.30 to 0.60)", "yes"]]
    assert cells(text, "the test list's prevalence, known") == [["0.022"]]


def test_groups_and_shortcuts_are_those_of_the_evaluation() -> None:
    text = render(material())
    gap = ["61 / 52", "-0.06 (-0.16 to 0.04)", "0.3"]
    assert cells(text, "sex F") == [[*gap, "Effusion -0.12", "0.31 (0.26 to 0.36) *", "too few"]]
    assert "0.78 (0.73 to 0.83), 2" in text
    assert "Not measured, fewer than 50 patients: age 0-18: 7 patients." in text
    assert "0.688, 1 finding<" in text
    assert "model within PA" in text
    missing = render(material(shift=None, prior=None, subgroups=None, shortcuts=None))
    for line in ("no validation films to compare with", "no sex, age or view is known", "Not audited"):
        assert line in missing
    alone = render(material(subgroups=subgroups().model_copy(update={"groups": []})))
    assert "Not measured: no group has 50 patients." in alone


def test_texts_from_data_are_escaped() -> None:
    text = render(material(label_version='<img src=x onerror="1">'))
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text
    assert "<td>&lt;b&gt;</td>" in part("parts", "table", ("a", "b"), [("x", "<b>")])
    assert 'aria-label="&lt;t&gt;&#34;"' in part("charts", "unit_square", UnitSquare('<t>"'))
    chart = part("charts", "forest", Forest("t", [Row("<a>", None, None, "<b>")], 0.0, 1.0))
    assert ">&lt;a&gt;<" in chart
    assert ">&lt;b&gt;<" in chart
    whole = render(material(notice="<n>", issues=[Issue(kind="never_flagged", finding="<f>", reason="<r>")]))
    assert not re.search(r"<[nfr]>", whole)
    assert "<li>&lt;f&gt;: &lt;r&gt;</li>" in whole


def test_a_name_that_a_template_was_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'charts' is undefined"):
        templates().from_string("{{ charts }}").render()


def test_every_chart_is_well_formed_and_has_a_name() -> None:
    text = render(material())
    charts = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(charts) == 4 + 3 * 14  # AUROC, groups, shortcuts, pointing game; ROC, precision-recall, reliability
    for chart in charts:
        root = ET.fromstring(chart)
        assert root.attrib["aria-label"]
    assert "nan" not in "".join(charts)


def test_a_chart_puts_values_where_they_belong() -> None:
    svg = part("charts", "forest", Forest("t", [Row("a", 0.5, (0.25, 0.75), "0.5", circle=1.0)], 0.0, 1.0))
    assert 'class="whisker " d="M255.0,11 H465.0"' in svg
    assert 'cx="360.0" cy="11" r="4.2"' in svg
    assert 'cx="570.0" cy="11" r="4"' in svg
    assert 'd="M24.0,126.0 L144.0,6.0"' in part("charts", "unit_square", UnitSquare("t", diagonal=True, most=0.2))


def test_thinned_curves_keep_their_ends() -> None:
    curve = thinned(np.linspace(0, 1, 10_000), np.linspace(0, 1, 10_000))
    assert (len(curve.x), curve.x[0], curve.x[-1]) == (150, 0, 1)


def test_bins_hold_equally_many_films_and_their_shares() -> None:
    probabilities = np.linspace(0, 1, 100)
    dots = reliability((probabilities > 0.5).astype(np.uint8), probabilities)
    assert [dot.y for dot in dots] == [0] * 5 + [1] * 5
    assert dots[0].x == pytest.approx(probabilities[:10].mean())
    assert dots[0].whisker == (0.0, pytest.approx(0.2775, abs=1e-4))


def write_evaluation(folder: Path, **changes: object) -> None:
    made = scores()
    columns: dict[str, object] = {"split": ["val"] * 20 + ["test"] * 100}
    for k, name in enumerate(FINDINGS):
        columns[f"{name}.label"] = made.labels[:, k]
        columns[f"{name}.logit"] = made.logits[:, k]
        columns[f"{name}.probability"] = made.probabilities[:, k]
    pq.write_table(pa.table(columns), folder / "predictions.parquet")
    (folder / "evaluation.json").write_text(evaluation(**changes).model_dump_json())
    (folder / "profiles.json").write_text(profiles().model_dump_json())
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, format="PNG")
    (folder / "localisation.png").write_bytes(stream.getvalue())


def test_the_report_is_made_from_the_files_of_the_evaluation(tmp_path: Path) -> None:
    write_evaluation(tmp_path, label_version="phantom")
    assert TestScores.read(tmp_path / "predictions.parquet", FINDINGS).labels.shape == (100, len(FINDINGS))
    path = write_report(tmp_path)
    assert path == tmp_path / "report.html"
    assert "data:image/png;base64," in path.read_text(encoding="utf-8")


def test_scores_are_read_in_the_order_of_the_evaluation(tmp_path: Path) -> None:
    write_evaluation(tmp_path)
    path = tmp_path / "predictions.parquet"
    mass, effusion = TestScores.read(path, ["Mass", "Effusion"]).logits.T
    every = TestScores.read(path, FINDINGS).logits
    np.testing.assert_array_equal(mass, every[:, FINDINGS.index("Mass")])
    np.testing.assert_array_equal(effusion, every[:, FINDINGS.index("Effusion")])


def test_a_picture_beside_an_evaluation_of_patients_is_not_taken_in(tmp_path: Path) -> None:
    write_evaluation(tmp_path)
    assert "<img" not in write_report(tmp_path).read_text(encoding="utf-8")


def test_without_an_evaluation_there_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no evaluation"):
        write_report(tmp_path)
