"""evaluation.json as types: `Evaluation` and its parts. The schema made from them is docs/evaluation.schema.json."""

from chest_xray.evaluation.localise.results import LocalisationReport
from chest_xray.evaluation.results.base import Estimate
from chest_xray.evaluation.results.evaluation import Bootstrap, Evaluation, Profiles, read_evaluation
from chest_xray.evaluation.results.groups import (
    GapReport,
    GroupFigure,
    GroupFinding,
    NoFinding,
    Shortcut,
    Shortcuts,
    Subgroup,
    Subgroups,
    WithinView,
)
from chest_xray.evaluation.results.performance import (
    AtOperatingPoint,
    CalibrationErrors,
    Confusion,
    FindingCalibration,
    FindingMetrics,
    Issue,
    MeanCalibration,
    MeanMetrics,
)
from chest_xray.evaluation.results.shift import (
    FindingPrior,
    PrevalenceShift,
    PriorCorrection,
    PriorEffect,
    Shift,
    TagShift,
)

__all__ = [
    "AtOperatingPoint",
    "Bootstrap",
    "CalibrationErrors",
    "Confusion",
    "Estimate",
    "Evaluation",
    "FindingCalibration",
    "FindingMetrics",
    "FindingPrior",
    "GapReport",
    "GroupFigure",
    "GroupFinding",
    "Issue",
    "LocalisationReport",
    "MeanCalibration",
    "MeanMetrics",
    "NoFinding",
    "PrevalenceShift",
    "PriorCorrection",
    "PriorEffect",
    "Profiles",
    "Shift",
    "Shortcut",
    "Shortcuts",
    "Subgroup",
    "Subgroups",
    "TagShift",
    "WithinView",
    "read_evaluation",
]
