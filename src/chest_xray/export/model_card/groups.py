"""For whom the model does well, and what it may have learnt beside the lungs."""

from __future__ import annotations

from chest_xray.evaluation.results import Subgroup
from chest_xray.evaluation.results.groups import REAL
from chest_xray.evaluation.written import group_figure, misjudged
from chest_xray.export.model_card.facts import Facts, Words
from chest_xray.export.model_card.markdown import known, table


def subgroups(facts: Facts) -> Words:
    """Groups of patients."""
    found = facts.evaluation.subgroups
    if found is None:
        names = (
            "subgroups_measured",
            "real_below",
            "fewest_patients",
            "subgroups_method",
            "subgroups_table",
            "groups_left_out",
        )
        return dict.fromkeys(names, "")
    header = (
        "group",
        "images / patients",
        "mean AUROC",
        "gap (q)",
        "probabilities off",
        "underdiagnosed",
        "overdiagnosed",
    )
    return {
        "subgroups_measured": "yes",
        "real_below": f"{REAL}",
        "fewest_patients": f"{found.fewest_patients}",
        "subgroups_method": found.method,
        "subgroups_table": table(header, [_group(group) for group in found.groups]) if found.groups else "",
        "groups_left_out": found.not_measured,
    }


def _group(group: Subgroup) -> tuple[str, ...]:
    gap = group.mean_auroc.gap if group.mean_auroc else None
    return (
        group.name,
        f"{group.images} / {group.patients}",
        group_figure(group.mean_auroc, star=False),
        "too few" if gap is None else f"{gap.difference:+.3f} ({gap.q:.2g})",
        misjudged(group),
        group_figure(group.no_finding.underdiagnosis, star=False),
        group_figure(group.no_finding.overdiagnosis, star=False),
    )


def shortcuts(facts: Facts) -> Words:
    """What view, border and size alone predict, and the model within one view."""
    found = facts.evaluation.shortcuts
    if found is None:
        return {"audit_images": "", "shortcuts_table": ""}
    alone = [
        (f"{name} alone: {row.inputs}", known(row.mean_auroc, "{:.3f}", "too few"), str(len(row.findings)), "")
        for name, row in found.alone.items()
    ]
    within = [
        (
            f"the model within {row.view} ({row.images} images)",
            known(row.mean_auroc, "{:.3f}", "too few"),
            str(len(row.findings)),
            known(row.mean_auroc_all, "{:.3f}", "too few"),
        )
        for row in found.within_view
    ]
    header = ("input", "mean AUROC", "findings", "the model on all views, same findings")
    return {"audit_images": f"{found.training_images}", "shortcuts_table": table(header, [*alone, *within])}
