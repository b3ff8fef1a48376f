"""Boxes that the figures leave out, or that say another thing than the labels: reported, never passed over."""

from __future__ import annotations

from chest_xray.data.shards import Shards
from chest_xray.evaluation.results import Issue


def box_issues(shards: Shards) -> list[Issue]:
    """One issue a kind of box; empty where every box is of a test image with its label."""
    counts = shards.dataset["counts"]
    boxes = [(row, box.finding) for row in shards.rows("test") for box in shards.boxes[row]]
    outside = counts["boxes"] - len(boxes)
    unlabelled = sum(shards.labels[row, shards.findings.index(finding)] == 0 for row, finding in boxes)
    found = []
    if absent := counts["boxes_without_image"]:
        reason = f"{absent} boxes are of images that are not there; they are not measured."
        found.append(Issue(kind="boxes_not_measured", finding=None, reason=reason))
    if outside:
        reason = f"{outside} boxes are of images outside the test list; they are not measured."
        found.append(Issue(kind="boxes_not_measured", finding=None, reason=reason))
    if unlabelled:
        reason = f"{unlabelled} boxes are of findings that their image is not labelled with; they are measured."
        found.append(Issue(kind="boxes_without_label", finding=None, reason=reason))
    return found
