"""What the model is and is for: the sections of a model card around its figures."""

from __future__ import annotations

from typing import Final

from chest_xray.export.model_card.facts import Facts, Section
from chest_xray.export.model_card.markdown import bullets, known, section, value_of
from chest_xray.findings import RESEARCH_USE_ONLY, describe_source


def _head(facts: Facts) -> str:
    lines = ["# DenseNet121, 14 findings of NIH ChestX-ray14", f"**{RESEARCH_USE_ONLY}**"]
    if facts.phantom:
        lines.append(
            "**Trained and tested on phantom images, which `cxr phantom` draws. No figure below says anything about "
            "patients.**"
        )
    mean = facts.evaluation.mean
    lines.append(
        f"Mean AUROC {value_of(mean.auroc, mean.ci95)} over {len(mean.findings)} findings, on "
        f"{facts.evaluation.images} {describe_source(facts.evaluation.label_version)} of "
        f"{facts.evaluation.patients} patients in the test list."
    )
    return "\n\n".join(lines)


def _details(facts: Facts) -> str:
    record, manifest = facts.record, facts.manifest
    size = record.image_size
    return section(
        "Model details",
        bullets(
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
    intended = bullets(
        "Research on frontal chest radiographs of adults: studies of methods, of data and of monitoring.",
        "Exercises in shipping, watching and comparing such models.",
    )
    outside = bullets(
        "Diagnosis, triage or any decision about a patient. It was not shown to help anybody who makes one.",
        "Laterals, other body parts, other modalities, photographs of films, and children: NIH's list has few of them.",
        "Ruling a finding out. A film without a flag is not a normal film: the model knows 14 words.",
        "Populations, scanners or prevalences other than those of the test list without a new evaluation.",
    )
    return section("Intended use", intended) + "\n\n" + section("Out of scope", outside)


def _data(facts: Facts) -> str:
    if facts.phantom:
        text = (
            "Phantom radiographs, drawn from simple rules with known labels and boxes. They show that the machinery "
            "works. Their labels have no noise; films of patients differ in every respect."
        )
        return section("Data", text)
    return section(
        "Data",
        "NIH ChestX-ray14 (Wang et al., CVPR 2017): 112,120 frontal films of 30,805 patients of one hospital, 1024 x "
        "1024 pixels and 8 bits. Training and test lists share no patient. The official test list is sicker than the "
        "training list: any finding in 61.5% against 41.6% of films, AP views 56.6% against 35.0%. Thresholds and "
        "calibration come from validation patients of the training list and are off on the test list to that extent.",
    )


def _label_noise(facts: Facts) -> str:
    if facts.phantom:
        return section("Label noise", "None: phantoms are labelled by what was drawn.")
    return section(
        "Label noise",
        "The labels were mined from reports by software; nobody looked at the films for them. Against radiologists' "
        "labels of 1,962 test films, NIH's label of Pneumothorax has a positive "
        "predictive value of 0.485 and a sensitivity of 0.497. Every figure below measures agreement with the mined "
        "labels. View position alone reaches a mean AUC of 0.588 on them, and chest drains stand for treated "
        "pneumothorax: a high AUROC may be a shortcut.",
    )


def _guard(facts: Facts) -> str:
    guard, quality = facts.manifest.guard, facts.manifest.quality
    return section(
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
    return section("Limits", bullets(*lines))


def _impact(facts: Facts) -> str:
    found = facts.footprint
    rates = found.rates
    hours = None if found.seconds is None else found.seconds / 3600
    return section(
        "Carbon and cost",
        bullets(
            f"Training time: {known(hours, '{:.2f} hours')}; device: {found.device or 'not recorded'}.",
            f"Energy: {known(found.kwh, '{:.3f} kWh')}; stated mean power: {known(rates.watts, '{:g} W', 'none')}.",
            f"Carbon: {known(found.gco2, '{:.0f} g CO2e')}; stated grid: "
            f"{known(rates.grid_gco2, '{:g} g CO2e a kWh', 'none')}.",
            f"Cost: {known(found.usd, '{:.2f} US dollars')}; stated price: "
            f"{known(rates.usd_per_hour, '{:g} US dollars an hour', 'none')}.",
        )
        + "\n\nEnergy is time x power, carbon energy x grid; evaluation, data preparation and "
        "runs that were thrown away are not in it.",
    )


def _citation(facts: Facts) -> str:
    if facts.phantom:
        return section("How to cite", "Phantom images need no citation.")
    return section(
        "How to cite",
        "The NIH Clinical Center provides the images: https://nihcc.app.box.com/v/ChestXray-NIHCC. Acknowledge it and "
        "cite Wang X, Peng Y, Lu L, Lu Z, Bagheri M, Summers RM. ChestX-ray8: Hospital-scale Chest X-ray Database and "
        "Benchmarks on Weakly-Supervised Classification and Localization of Common Thorax Diseases. CVPR 2017.",
    )


BEFORE_FIGURES: Final[tuple[Section, ...]] = (_head, _details, _uses, _data, _label_noise)
AFTER_FIGURES: Final[tuple[Section, ...]] = (_guard, _limits, _impact, _citation)
