"""For whom the model does well, and what it may have learnt beside the lungs."""

from __future__ import annotations

from typing import Final

from chest_xray.evaluation.results import GroupFigure, Subgroup
from chest_xray.evaluation.results.groups import REAL
from chest_xray.export.model_card.facts import Facts, Section
from chest_xray.export.model_card.markdown import known, section, table


def _subgroups(facts: Facts) -> str:
    found = facts.evaluation.subgroups
    if found is None:
        return section("Subgroups", "Not measured: the test images have no sex, age or view.")
    text = (
        "Underdiagnosed: images with any finding in which none is flagged; overdiagnosed: images without one in which "
        "something is. In brackets 95% intervals; gap: the group's mean AUROC less that of all other images, q its "
        "p-value adjusted for all groups. Probabilities off: findings whose mean probability less the share of images "
        f"with them differs from other images', q < {REAL}. {found.method}"
    )
    rows = [_group(group) for group in found.groups]
    header = (
        "group",
        "images / patients",
        "mean AUROC",
        "gap (q)",
        "probabilities off",
        "underdiagnosed",
        "overdiagnosed",
    )
    parts = [text, table(header, rows) if rows else f"No group has {found.fewest_patients} patients."]
    if found.left_out:
        parts.append(found.not_measured)
    parts.append("The figures of each finding in each group are in `evaluation.json`.")
    return section("Subgroups", "\n\n".join(parts))


def _group(group: Subgroup) -> tuple[str, ...]:
    gap = group.mean_auroc.gap if group.mean_auroc else None
    return (
        group.name,
        f"{group.images} / {group.patients}",
        _figure(group.mean_auroc),
        "too few" if gap is None else f"{gap.difference:+.3f} ({gap.q:.2g})",
        _misjudged(group),
        _figure(group.no_finding.underdiagnosis),
        _figure(group.no_finding.overdiagnosis),
    )


def _misjudged(group: Subgroup) -> str:
    off = [f"{name} {excess:+.2f}" for name, excess in group.misjudged.items()]
    return ", ".join(off) or f"none of {group.judged}"


def _figure(figure: GroupFigure | None) -> str:
    if figure is None:
        return "too few"
    return (
        f"{figure.value:.3f}" if figure.ci95 is None else "{:.3f} ({:.3f} to {:.3f})".format(figure.value, *figure.ci95)
    )


def _shortcuts(facts: Facts) -> str:
    found = facts.evaluation.shortcuts
    if found is None:
        return section("Shortcuts", "Not audited: that needs training images.")
    text = (
        f"Logistic regressions that never see the lungs, fitted on {found.training_images} training images. What they "
        "reach is open to the network too. Within one view, the view tells nothing."
    )
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
    return section("Shortcuts", text + "\n\n" + table(header, [*alone, *within]))


GROUPS: Final[tuple[Section, ...]] = (_subgroups, _shortcuts)
