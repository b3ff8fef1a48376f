"""Who is in the phantom: patients, their visits, and which findings each film shows.

The rates are NIH's in kind, not in size. As in NIH: AP films are sicker than PA films, sick patients have more films
and more of them are in the test list, most patients have one film, and findings come together (Effusion with
Atelectasis, Consolidation, Edema and Cardiomegaly; Infiltration with Edema; Mass with Nodule; Emphysema with
Pneumothorax; Pleural_Thickening with Effusion and Fibrosis). Unlike NIH, rare findings are common, so that a few
thousand films teach all 14: "No Finding" about 39 % of films, 28 % in the test list; every finding between 6 % and
20 %.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from chest_xray.data.phantom.difficulty import Difficulty
from chest_xray.errors import DataError

TEST_FRACTION: Final = 0.22
_MOST_VISITS: Final = 24

# Finding: odds in a sick patient's film, multiplier of the odds in AP, and with each ten years over 50. In the order in
# which they are drawn by lot: a finding listed later depends on those before.
_ODDS: Final[dict[str, tuple[float, float, float]]] = {
    "Cardiomegaly": (0.135, 1.2, 1.15),
    "Emphysema": (0.13, 0.8, 1.2),
    "Edema": (0.068, 3.0, 1.0),
    "Pneumothorax": (0.125, 1.3, 0.9),
    "Mass": (0.125, 0.8, 1.1),
    "Nodule": (0.17, 0.7, 1.1),
    "Effusion": (0.125, 1.5, 1.05),
    "Consolidation": (0.085, 1.8, 1.0),
    "Pneumonia": (0.10, 1.4, 1.0),
    "Infiltration": (0.20, 1.3, 1.0),
    "Atelectasis": (0.125, 1.5, 1.05),
    "Pleural_Thickening": (0.095, 0.8, 1.1),
    "Fibrosis": (0.11, 0.6, 1.25),
    "Hernia": (0.115, 0.7, 1.3),
}
_TOGETHER: Final[dict[tuple[str, str], float]] = {
    ("Edema", "Cardiomegaly"): 3.0, ("Edema", "Emphysema"): 0.3, ("Emphysema", "Cardiomegaly"): 0.15,
    ("Pneumothorax", "Emphysema"): 3.0, ("Nodule", "Mass"): 2.5,
    ("Effusion", "Cardiomegaly"): 2.5, ("Effusion", "Edema"): 3.0, ("Effusion", "Pneumothorax"): 1.5,
    ("Consolidation", "Effusion"): 2.5, ("Consolidation", "Emphysema"): 0.5,
    ("Pneumonia", "Effusion"): 1.2, ("Pneumonia", "Edema"): 1.5, ("Pneumonia", "Consolidation"): 0.6,
    ("Infiltration", "Edema"): 2.5, ("Infiltration", "Pneumonia"): 1.8, ("Infiltration", "Hernia"): 0.5,
    ("Atelectasis", "Effusion"): 3.0, ("Atelectasis", "Consolidation"): 1.5, ("Atelectasis", "Pneumothorax"): 1.3,
    ("Pleural_Thickening", "Effusion"): 1.8, ("Fibrosis", "Pleural_Thickening"): 2.5, ("Fibrosis", "Edema"): 0.3,
}  # fmt: skip
# How many times likelier a finding is on the next film once it is there: chronic ones stay.
_STAYS: Final[dict[str, float]] = dict.fromkeys(
    ("Cardiomegaly", "Emphysema", "Mass", "Nodule", "Fibrosis", "Hernia", "Pleural_Thickening"), 12.0
)
_ACUTE_STAYS: Final = 3.0


@dataclass(frozen=True)
class Sign:
    """One finding on one film. `episode` counts how often the patient had it anew: it decides where it lies."""

    finding: str
    severity: float
    episode: int


@dataclass(frozen=True)
class Visit:
    """One film. `number` is NIH's Follow-up #."""

    number: int
    age: int
    view: str
    signs: tuple[Sign, ...]


@dataclass(frozen=True)
class Patient:
    """One patient and their films, all in the same list."""

    number: int
    sex: str
    test: bool
    visits: tuple[Visit, ...]


def image_name(patient: int, visit: int) -> str:
    """File name as NIH writes it."""
    return f"{patient:08d}_{visit:03d}.png"


def sample_cohort(images: int, seed: int, difficulty: Difficulty) -> list[Patient]:
    """Draw patients by lot until they have exactly `images` films.

    Raises:
        DataError: fewer than 8 images, too few to have patients in both lists.
    """
    if images < 8:
        raise DataError(f"{images} images were asked for; a phantom has at least 8, to fill both lists with patients")
    drafts: list[tuple[float, str, tuple[Visit, ...]]] = []
    left = images
    while left:
        rng = np.random.default_rng((seed, len(drafts) + 1, 0))
        frailty = float(rng.normal())
        count = min(left, _visit_count(rng, frailty), max(1, images // 8))
        sex = "M" if rng.random() < 0.56 else "F"
        drafts.append((frailty + rng.normal(0, 1.5), sex, _visits(rng, count, frailty, difficulty)))
        left -= count
    test = _test_patients([(rank, len(visits)) for rank, _, visits in drafts], images)
    return [Patient(i + 1, sex, i in test, visits) for i, (_, sex, visits) in enumerate(drafts)]


def _test_patients(ranks: list[tuple[float, int]], images: int) -> set[int]:
    """Take the patients of highest rank until they have TEST_FRACTION of the films; one patient is always left."""
    chosen: set[int] = set()
    films = 0
    for i in sorted(range(len(ranks)), key=lambda i: -ranks[i][0])[: len(ranks) - 1]:
        if films >= TEST_FRACTION * images:
            break
        chosen.add(i)
        films += ranks[i][1]
    return chosen


def _visit_count(rng: np.random.Generator, frailty: float) -> int:
    if rng.random() > 0.42 + 0.12 * frailty:
        return 1
    return 2 + min(_MOST_VISITS - 2, int(rng.pareto(1.6) * 1.3))


def _visits(rng: np.random.Generator, count: int, frailty: float, difficulty: Difficulty) -> tuple[Visit, ...]:
    age = float(np.clip(rng.normal(48, 16), 18, 92))
    signs: tuple[Sign, ...] = ()
    episodes: dict[str, int] = {}
    visits = []
    for number in range(count):
        age = min(94.0, age + (float(rng.exponential(0.5)) if number else 0.0))
        bedridden = rng.random() < 0.40 + 0.12 * frailty
        sick = rng.random() > difficulty.no_finding + 0.06 - 0.13 * frailty - (0.14 if bedridden else 0.0)
        view = "AP" if bedridden else "PA"
        signs = _signs(rng, (view, age), signs, episodes, difficulty) if sick else ()
        visits.append(Visit(number, int(age), view, signs))
    return tuple(visits)


def _signs(
    rng: np.random.Generator,
    about: tuple[str, float],
    before: tuple[Sign, ...],
    episodes: dict[str, int],
    difficulty: Difficulty,
) -> tuple[Sign, ...]:
    """Findings of a sick film, at least one. `episodes` is advanced for those that are new."""
    present: set[str] = set()
    while not present:
        for finding in _ODDS:
            odds = _odds(finding, about, present, before)
            if rng.random() < odds / (1 + odds):
                present.add(finding)
    earlier = {sign.finding: sign.severity for sign in before}
    signs = []
    for finding in sorted(present):
        if finding not in earlier:
            episodes[finding] = episodes.get(finding, 0) + 1
        signs.append(Sign(finding, _severity(rng, earlier.get(finding), about[0], difficulty), episodes[finding]))
    return tuple(signs)


def _odds(finding: str, about: tuple[str, float], present: set[str], before: tuple[Sign, ...]) -> float:
    view, age = about
    odds, portable, decade = _ODDS[finding]
    odds *= (portable if view == "AP" else 1 / portable**0.5) * decade ** ((age - 50) / 10)
    for other in present:
        odds *= _TOGETHER.get((finding, other), 1.0)
    if any(sign.finding == finding for sign in before):
        odds *= _STAYS.get(finding, _ACUTE_STAYS)
    return float(odds)


def _severity(rng: np.random.Generator, before: float | None, view: str, difficulty: Difficulty) -> float:
    """Severity in [least_severity, 1]; a finding that stays changes a little, AP films show more of it."""
    fresh = float(rng.beta(difficulty.severity_alpha, difficulty.severity_beta))
    fresh = difficulty.least_severity + (1 - difficulty.least_severity) * fresh
    severity = fresh if before is None else 0.65 * before + 0.35 * fresh
    return float(np.clip(severity + (0.04 if view == "AP" else 0.0), difficulty.least_severity, 1.0))
