"""The section `localisation` of evaluation.json: how well heat maps meet boxes, beside three maps that saw no film."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from chest_xray.bundle import Frozen, Interval, Probability

# Wang et al., "ChestX-ray8", CVPR 2017, table 4.
THRESHOLDS: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
# A region is where a map reaches half of its maximum. NIH's boxes are all of test images, so there is nothing to tune
# this share on; half is what "full width at half maximum" takes.
REGION_SHARE: Final = 0.5
# 15 pixels (Zhang et al., "Top-down neural attention", IJCV 2018), taken of a side of 224 and kept as a share of it.
TOLERANCE: Final = 15 / 224
FEWEST_BOXES: Final = 10


class LocalisationFigure(Frozen):
    """A share of hits, and the same share of three maps that never saw the film."""

    value: Probability = Field(description="Share of maps that hit, or of boxes that are hit.")
    ci95: Interval | None = Field(
        description="95% percentile interval over patients, exact at 0 and 1; None with one patient."
    )
    random: Probability = Field(description="The same of maps of noise: the mean over all draws.")
    centre_cell: Probability | None = Field(
        default=None, description="The same of a map that is always in the middle; None in a file from before."
    )
    average_place: Probability | None = Field(
        description="The same of the mean of the finding's boxes in other patients; None where there are none."
    )
    gain: float | None = Field(description="`value` less `average_place`, over the boxes that have both.")
    gain_ci95: Interval | None = Field(description="95% interval of `gain`, over patients.")


class LocalisedFinding(Frozen):
    """The boxes of one finding, or of all, in test images."""

    boxes: int
    maps: int = Field(description="Pairs of image and finding; one may have several boxes.")
    images: int
    patients: int
    few_boxes: bool = Field(description=f"Fewer than {FEWEST_BOXES} boxes: read the shares with that in mind.")
    empty_maps: int = Field(description="Maps with no evidence at all; they count as missed.")
    false_regions: float = Field(description="Regions that touch none of the finding's boxes, a map, on average.")
    pointing_game: LocalisationFigure = Field(
        description="Share of maps whose peak lies in one of the finding's boxes, or within the tolerance."
    )
    pointing_game_strict: LocalisationFigure = Field(description="Share of maps whose peak lies in one of the boxes.")
    centre: LocalisationFigure = Field(
        description="Share of maps where the centre of the region that holds the peak lies in one of the boxes."
    )
    iou: dict[str, LocalisationFigure] = Field(
        description="By T: share of boxes whose intersection over union with the best region's box is over T."
    )
    iobb: dict[str, LocalisationFigure] = Field(
        description="By T: share of boxes whose intersection over the best region's own area is over T."
    )


class LocalisationMethod(Frozen):
    """How the figures were made."""

    map: Literal["class activation map, positive part, a square a cell"] = (
        "class activation map, positive part, a square a cell"
    )
    cells: tuple[int, int] = Field(description="Rows and columns of the map.")
    side: int = Field(description="Pixels of the image's side.")
    region_share: float = Field(default=REGION_SHARE, description="A region reaches this share of the map's maximum.")
    regions: Literal["bounding boxes of 8-connected components"] = "bounding boxes of 8-connected components"
    tolerance: float = Field(default=TOLERANCE, description="Of the pointing game, in shares of the image's side.")
    random_map: Literal["independent normal cells"] = "independent normal cells"
    random_draws: int
    centre_map: Literal["always the cell in the middle"] = "always the cell in the middle"
    average_map: Literal["mean of the finding's boxes in other patients"] = (
        "mean of the finding's boxes in other patients"
    )
    rounds: int = Field(description="Bootstrap rounds over patients.")
    seed: int


class LocalisationReport(Frozen):
    """Maps of the test images against their boxes."""

    method: LocalisationMethod
    overall: LocalisedFinding = Field(description="All boxes together, each counting once.")
    findings: dict[str, LocalisedFinding] = Field(description="Findings that have boxes, in the usual order.")
    boxes_without_image: int = Field(description="Boxes of images that the prepared data do not hold: not measured.")
    boxes_outside_test: int = Field(description="Boxes of training and validation images: not measured.")
    boxes_without_label: int = Field(description="Measured boxes of a finding that the image is not labelled with.")
