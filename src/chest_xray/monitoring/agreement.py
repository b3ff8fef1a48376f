"""How often readers agree with the model's flags: their ground truth beside the audit log, joined on the event.

Readers judge what they choose to judge, so that these are figures of the judged films, not of all that were scored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import NormalDist
from typing import Final, Self

from chest_xray.bundle import Interval
from chest_xray.errors import GroundTruthError
from chest_xray.records.audit import Scored, read_scored
from chest_xray.records.ground_truth import Collection, Fault, GroundTruth, GroundTruthLog

_Z: Final = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole with its 95% interval, by Wilson's score; None where the whole is 0."""

    part: int
    of: int
    value: float | None
    ci95: Interval | None

    @classmethod
    def counted(cls, part: int, of: int) -> Self:
        """`part` of `of`."""
        return cls(part, of, part / of if of else None, wilson(part, of) if of else None)


@dataclass(frozen=True, slots=True)
class FindingAgreement:
    """One finding, among the films whose readers judged it.

    `disagreed` are the `missed` (present, not flagged) and the `false_alarms` (absent, flagged). `not_compared` were
    judged, but the model had no operating point to flag them by; they count nowhere else.
    """

    judged: int
    agreed: int
    disagreed: int
    missed: int
    false_alarms: int
    sensitivity: Share
    ppv: Share
    not_compared: int

    @classmethod
    def counted(cls, outcomes: Counter[tuple[bool, bool | None]]) -> Self:
        """Of how often (present by the reader, flagged by the model) came about."""
        hits, missed, false_alarms = outcomes[True, True], outcomes[True, False], outcomes[False, True]
        agreed = hits + outcomes[False, False]
        return cls(
            judged=agreed + missed + false_alarms,
            agreed=agreed,
            disagreed=missed + false_alarms,
            missed=missed,
            false_alarms=false_alarms,
            sensitivity=Share.counted(hits, hits + missed),
            ppv=Share.counted(hits, hits + false_alarms),
            not_compared=outcomes[True, None] + outcomes[False, None],
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """What readers said of an endpoint's films.

    `unmatched` are the events that no line of the audit log was found for, in no figure. `models` counts the matched
    events by the model that had scored them; `notes` those with a note.
    """

    endpoint: str
    since: date | None
    events: int
    unmatched: tuple[str, ...]
    notes: int
    models: Mapping[str, int]
    findings: Mapping[str, FindingAgreement]
    faults: tuple[Fault, ...]


def measure_agreement(
    home: Path,
    audit: Path,
    endpoint: str,
    since: date | None = None,
    *,
    deployed: Callable[[], Sequence[str]] | None = None,
) -> Agreement:
    """Join the ground truth of `endpoint` below CXR_HOME with the lines of the folder `audit`.

    `deployed` gives the findings of the deployed model, for ground truth from before it told its own.

    Raises:
        GroundTruthError: there is no ground truth, or a file cannot be read.
    """
    log = GroundTruthLog.kept(home, endpoint, otherwise=deployed)
    collection = log.read(since)
    try:
        scored = read_scored(audit, collection.truths)
    except OSError as error:
        raise GroundTruthError(f"{error.filename} cannot be read: {error.strerror}.") from error
    return _join(collection, log.findings, scored, endpoint, since)


def wilson(part: int, of: int) -> Interval:
    """The 95% score interval of a proportion (Wilson 1927)."""
    share, spread = part / of, _Z * _Z / of
    center = share + spread / 2
    half = (_Z * _Z / of * (share * (1 - share) + spread / 4)) ** 0.5
    return max(0.0, (center - half) / (1 + spread)), min(1.0, (center + half) / (1 + spread))


def _join(
    collection: Collection, findings: Sequence[str], scored: Mapping[str, Scored], endpoint: str, since: date | None
) -> Agreement:
    truths = collection.truths
    matched = [(truth, scored[event]) for event, truth in truths.items() if event in scored]
    return Agreement(
        endpoint=endpoint,
        since=since,
        events=len(truths),
        unmatched=tuple(event for event in truths if event not in scored),
        notes=sum(bool(truth.note) for truth in truths.values()),
        models=dict(Counter(found.model for _, found in matched)),
        findings={name: FindingAgreement.counted(Counter(_outcomes(matched, name))) for name in findings},
        faults=tuple(collection.faults),
    )


def _outcomes(matched: Iterable[tuple[GroundTruth, Scored]], finding: str) -> Iterator[tuple[bool, bool | None]]:
    for truth, found in matched:
        if finding in truth.findings:
            yield truth.findings[finding], found.flag(finding)
