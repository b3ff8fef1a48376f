"""The sections of a model card, each a function from the facts to Markdown with its heading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from chest_xray.bundle import Manifest
from chest_xray.findings import PHANTOM, RESEARCH_USE_ONLY, describe_source
from chest_xray.training.footprint import Footprint
from chest_xray.training.localise.report import LocalisationFigure, LocalisedFinding
from chest_xray.training.report import Evaluation, Interval
from chest_xray.training.run import TrainingRecord


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card is made of."""

    manifest: Manifest
    record: TrainingRecord
    evaluation: Evaluation
    footprint: Footprint

    @property
    def phantom(self) -> bool:
        """Whether the images were drawn and not taken."""
        return self.evaluation.label_version == PHANTOM


def _head(facts: Facts) -> str:
    lines = ["# DenseNet121, 14 findings of NIH ChestX-ray14", f"**{RESEARCH_USE_ONLY}**"]
    if facts.phantom:
        lines.append(
            "**Trained and tested on phantom images, which `cxr phantom` draws. No figure below says anything about "
            "patients.**"
        )
    mean = facts.evaluation.mean
    lines.append(
        f"Mean AUROC {_value(mean.auroc, mean.ci95)} over {len(mean.findings)} findings, on "
        f"{facts.evaluation.images} {describe_source(facts.evaluation.label_version)} of "
        f"{facts.evaluation.patients} patients in the test list."
    )
    return "\n\n".join(lines)


def _details(facts: Facts) -> str:
    record, manifest = facts.record, facts.manifest
    size = record.image_size
    return _section(
        "Model details",
        _bullets(
            f"Architecture: DenseNet121 (Huang et al., CVPR 2017), one grey channel of {size} x {size} pixels, the "
            "normalisation inside the graph.",
            "Output: 14 logits, calibrated to probabilities by the manifest, an embedding, and a class activation map "
            "for each finding, which for this network equals Grad-CAM.",
            f"Training: best of {len(record.history)} epochs: {record.best_epoch}; started from "
            f"`{record.config.init}`; seed {record.config.seed}.",
            f"Data: {describe_source(record.label_version)}, content hash `{record.data_hash[:12]}`.",
            f"Code: {record.git_revision or 'unknown revision'}; PyTorch {record.versions.get('torch', 'unknown')}.",
            f"Made: {manifest.provenance.created:%Y-%m-%d}.",
        ),
    )


def _uses(facts: Facts) -> str:  # noqa: ARG001 (every section takes the facts)
    intended = _bullets(
        "Research on frontal chest radiographs of adults: studies of methods, of data and of monitoring.",
        "Exercises in shipping, watching and comparing such models.",
    )
    outside = _bullets(
        "Diagnosis, triage or any decision about a patient. It was not shown to help anybody who makes one.",
        "Laterals, other body parts, other modalities, photographs of films, and children: NIH's list has few of them.",
        "Ruling a finding out. A film without a flag is not a normal film: the model knows 14 words.",
        "Populations, scanners or prevalences other than those of the test list without a new evaluation.",
    )
    return _section("Intended use", intended) + "\n\n" + _section("Out of scope", outside)


def _data(facts: Facts) -> str:
    if facts.phantom:
        text = (
            "Phantom radiographs, drawn from simple rules with known labels and boxes. They show that the machinery "
            "works. Their labels have no noise; films of patients differ in every respect."
        )
        return _section("Data", text)
    return _section(
        "Data",
        "NIH ChestX-ray14 (Wang et al., CVPR 2017): 112,120 frontal films of 30,805 patients of one hospital, 1024 x "
        "1024 pixels and 8 bits. Training and test lists share no patient. The official test list is sicker than the "
        "training list: any finding in 61.5% against 41.6% of films, AP views 56.6% against 35.0%. Thresholds and "
        "calibration come from validation patients of the training list and are off on the test list to that extent.",
    )


def _label_noise(facts: Facts) -> str:
    if facts.phantom:
        return _section("Label noise", "None: phantoms are labelled by what was drawn.")
    return _section(
        "Label noise",
        "The labels were mined from reports by software; nobody looked at the films for them. Against radiologists' "
        "labels of 1,962 test films (Majkowska et al., Radiology 2020), NIH's label of Pneumothorax has a positive "
        "predictive value of 0.485 and a sensitivity of 0.497. Every figure below measures agreement with the mined "
        "labels. View position alone reaches a mean AUC of 0.588 on them, and chest drains stand for treated "
        "pneumothorax: a high AUROC may be a shortcut.",
    )


def _performance(facts: Facts) -> str:
    evaluation = facts.evaluation
    rows = [
        (
            name + (" (few cases)" if row.few_cases else ""),
            f"{row.positives} / {row.negatives}",
            _value(row.auroc, row.ci95),
            _value(row.auprc, row.auprc_ci95),
            _share(row.positives / max(row.positives + row.negatives, 1)),
        )
        for name, row in evaluation.findings.items()
    ]
    mean = evaluation.mean
    rows.append(
        (f"mean of {len(mean.findings)}", "", _value(mean.auroc, mean.ci95), _value(mean.auprc, mean.auprc_ci95), "")
    )
    text = (
        f"Split `{evaluation.split}`, labels {evaluation.label_version}. 95% intervals from "
        f"{evaluation.bootstrap.rounds} bootstrap rounds over patients."
    )
    if mean.left_out:
        text += f" Not in the mean, because they have one class only: {', '.join(mean.left_out)}."
    header = ("finding", "with / without", "AUROC", "AUPRC", "prevalence")
    return _section("Performance", text + "\n\n" + table(header, rows))


def _operating_points(facts: Facts) -> str:
    rows = []
    for name, profile in facts.manifest.findings.items():
        point = profile.operating_point
        if point is None:
            rows.append((name, "never flagged", "", "", ""))
        else:
            numbers = (f"{point.threshold:.3f}", f"{point.sensitivity:.2f}", f"{point.specificity:.2f}")
            rows.append((name, *numbers, point.aim))
    header = ("finding", "flagged from", "sensitivity", "specificity", "chosen by")
    text = (
        "Chosen on validation images, where the sensitivity and specificity below were measured. A finding with fewer "
        "than 10 validation images of a class has no operating point and is never flagged."
    )
    return _section("Operating points", text + "\n\n" + table(header, rows))


def _calibration(facts: Facts) -> str:
    methods: dict[str, list[str]] = {}
    for name, profile in facts.manifest.findings.items():
        methods.setdefault(profile.calibration.method, []).append(name)
    words = {
        "platt": "Platt scaling fitted on validation images",
        "temperature": "one temperature fitted on validation images",
        "loss_weight": "not fitted (too few validation images): only the loss's weight is undone",
    }
    lines = [f"{words.get(method, method)}: {', '.join(names)}" for method, names in methods.items()]
    text = "A probability holds for the prevalence of the validation images, not for another hospital's."
    return _section("Calibration", text + "\n\n" + _bullets(*lines))


def _localisation(facts: Facts) -> str:
    report = facts.evaluation.localisation
    if report is None:
        return _section("Localisation", "Not measured: no image of the test list has a box.")
    text = (
        f"Heat maps against {report.overall.boxes} boxes of {report.overall.images} test images. Beside each share "
        "stand that of random maps and that of the finding's average place in other patients: a map that does not "
        "beat the latter has not shown that it looked at the film. The pointing game allows "
        f"{report.method.tolerance:.1%} of the side; a region is where the map reaches {report.method.region_share:g} "
        "of its maximum."
    )
    missed = [
        f"{count} boxes of images that {where} were not measured."
        for count, where in (
            (report.boxes_without_image, "are not there"),
            (report.boxes_outside_test, "are not in the test list"),
        )
        if count
    ]
    rows = [_place(name, row) for name, row in report.findings.items()] + [_place("all", report.overall)]
    header = ("finding", "boxes", "pointing game", "centre in box", "IoU > 0.25", "IoBB > 0.25")
    caption = "Cells: share (95% interval); random; average place."
    return _section("Localisation", "\n\n".join([" ".join([text, *missed]), table(header, rows), caption]))


def _place(name: str, row: LocalisedFinding) -> tuple[str, ...]:
    figures = (row.pointing_game, row.centre, row.iou["0.25"], row.iobb["0.25"])
    boxes = f"{row.boxes} (few)" if row.few_boxes else str(row.boxes)
    return (name, boxes, *map(_beside, figures))


def _beside(figure: LocalisationFigure) -> str:
    place = "n/a" if figure.average_place is None else f"{figure.average_place:.2f}"
    interval = "" if figure.ci95 is None else f" ({figure.ci95[0]:.2f} to {figure.ci95[1]:.2f})"
    return f"{figure.value:.2f}{interval}; {figure.random:.2f}; {place}"


def _guard(facts: Facts) -> str:
    guard, quality = facts.manifest.guard, facts.manifest.quality
    return _section(
        "Guard",
        f"Every answer says whether the film is like the {guard.training_images} training films. A film from where "
        "the validation films came is called unlike them with a probability of at most "
        f"{guard.false_refusal_rate:.1%} ({guard.validation_images} validation films set the threshold). Checks for "
        f"blank, inverted, turned and cropped films each warn of at most {quality.false_warning_rate:.1%} of such "
        "films. The guard knows training films, not chests: films unlike them can pass.",
    )


def _limits(facts: Facts) -> str:
    few = [name for name, row in facts.evaluation.findings.items() if row.few_cases]
    lines = [
        "Phantoms only: no film of a patient was tested."
        if facts.phantom
        else "One hospital's films and labels; no other hospital's were tested.",
        "Films are shrunk to the network's input: nodules of a few millimetres may vanish.",
        "A heat map shows where this network finds evidence, not where disease is, as coarsely as its last layer.",
    ]
    if few:
        lines.append(f"Fewer than 10 test images of one class, read with that in mind: {', '.join(few)}.")
    return _section("Limits", _bullets(*lines))


def _impact(facts: Facts) -> str:
    found = facts.footprint
    rates = found.rates
    hours = None if found.seconds is None else found.seconds / 3600
    return _section(
        "Carbon and cost",
        _bullets(
            f"Training time: {_known(hours, '{:.2f} hours')}; device: {found.device or 'not recorded'}.",
            f"Energy: {_known(found.kwh, '{:.3f} kWh')}; stated mean power: {_known(rates.watts, '{:g} W', 'none')}.",
            f"Carbon: {_known(found.gco2, '{:.0f} g CO2e')}; stated grid: "
            f"{_known(rates.grid_gco2, '{:g} g CO2e a kWh', 'none')}.",
            f"Cost: {_known(found.usd, '{:.2f} US dollars')}; stated price: "
            f"{_known(rates.usd_per_hour, '{:g} US dollars an hour', 'none')}.",
        )
        + "\n\nEnergy is time x power, carbon energy x grid (Lacoste et al., 2019); evaluation, data preparation and "
        "runs that were thrown away are not in it.",
    )


def _citation(facts: Facts) -> str:
    if facts.phantom:
        return _section("How to cite", "Phantom images need no citation.")
    return _section(
        "How to cite",
        "The NIH Clinical Center provides the images: https://nihcc.app.box.com/v/ChestXray-NIHCC. Acknowledge it and "
        "cite Wang X, Peng Y, Lu L, Lu Z, Bagheri M, Summers RM. ChestX-ray8: Hospital-scale Chest X-ray Database and "
        "Benchmarks on Weakly-Supervised Classification and Localization of Common Thorax Diseases. CVPR 2017.",
    )


Section = Callable[[Facts], str]
SECTIONS: Final[tuple[Section, ...]] = (
    _head,
    _details,
    _uses,
    _data,
    _label_noise,
    _performance,
    _operating_points,
    _calibration,
    _localisation,
    _guard,
    _limits,
    _impact,
    _citation,
)


def _section(heading: str, text: str) -> str:
    return f"## {heading}\n\n{text}"


def _bullets(*lines: str) -> str:
    return "\n".join(f"- {line}" for line in lines)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; `|` and `_` in a cell would be read as Markdown and are escaped."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("_", "\\_")


def _value(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "n/a (one class only)"
    return f"{value:.3f}" if interval is None else f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def _share(value: float) -> str:
    return f"{value:.1%}"


def _known(value: float | None, form: str, otherwise: str = "not measured") -> str:
    return otherwise if value is None else form.format(value)
