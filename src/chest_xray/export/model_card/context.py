"""What the model is and is for: the words of a model card around its figures."""

from __future__ import annotations

from chest_xray.export.model_card.facts import Facts, Words
from chest_xray.export.model_card.markdown import known, share, value_of
from chest_xray.notices import RESEARCH_USE_ONLY, describe_source


def model(facts: Facts) -> Words:
    """The model, and on what it was trained and tested."""
    evaluation, record = facts.evaluation, facts.record
    return {
        "notice": RESEARCH_USE_ONLY,
        "phantom": "yes" if facts.phantom else "",
        "nih": "yes" if facts.nih else "",
        "findings": f"{len(evaluation.findings)}",
        "mean_auroc": value_of(evaluation.mean.auroc, evaluation.mean.ci95),
        "mean_findings": f"{len(evaluation.mean.findings)}",
        "test_images": f"{evaluation.images}",
        "test_patients": f"{evaluation.patients}",
        "source": describe_source(evaluation.label_version),
        "image_size": f"{record.image_size}",
        "epochs": f"{len(record.history)}",
        "best_epoch": f"{record.best_epoch}",
        "started_from": record.config.init,
        "seed": f"{record.config.seed}",
        "training_source": describe_source(record.label_version),
        "data_hash": record.data_hash[:12],
        "git_revision": record.git_revision or "",
        "torch_version": record.versions.get("torch", ""),
        "made_on": f"{facts.manifest.provenance.created:%Y-%m-%d}",
        "few_cases": ", ".join(name for name, row in evaluation.findings.items() if row.few_cases),
    }


def guard(facts: Facts) -> Words:
    """The guard and the quality checks."""
    found, quality = facts.manifest.guard, facts.manifest.quality
    return {
        "guard_training_images": f"{found.training_images}",
        "guard_validation_images": f"{found.validation_images}",
        "false_refusal_rate": share(found.false_refusal_rate),
        "false_warning_rate": share(quality.false_warning_rate),
    }


def footprint(facts: Facts) -> Words:
    """Time, energy, carbon and cost of the training, with the stated rates that they were made of."""
    found = facts.footprint
    rates = found.rates
    hours = None if found.seconds is None else found.seconds / 3600
    return {
        "training_hours": known(hours, "{:.2f} hours", ""),
        "device": found.device or "",
        "energy": known(found.kwh, "{:.3f} kWh", ""),
        "stated_power": known(rates.watts, "{:g} W", ""),
        "carbon": known(found.gco2, "{:.0f} g CO2e", ""),
        "stated_grid": known(rates.grid_gco2, "{:g} g CO2e a kWh", ""),
        "cost": known(found.usd, "{:.2f} US dollars", ""),
        "stated_price": known(rates.usd_per_hour, "{:g} US dollars an hour", ""),
    }
