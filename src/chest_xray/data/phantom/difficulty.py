"""How hard the phantom is: every constant that decides it, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Difficulty:
    """What makes a phantom film easy or hard to read. A finished folder records the values it was drawn with.

    Severity is drawn from a Beta(alpha, beta) law stretched over [least_severity, 1]: 0 would be invisible, 1 is plain.
    """

    no_finding: float = 0.40  # fraction of films without any finding
    least_severity: float = 0.30
    severity_alpha: float = 1.6
    severity_beta: float = 1.3
    contrast: float = 1.0  # multiplies what a finding adds to the film; the anatomy stays
    exposure_spread: float = 0.16  # standard deviation of the logarithm of the exposure
    latitude_spread: float = 0.12  # standard deviation of the logarithm of the film's steepness
    shift: float = 0.07  # standard deviation of the patient's offset; the film is 2 units wide
    rotation: float = 2.5  # standard deviation in degrees
    zoom: float = 0.065  # standard deviation of the logarithm of the magnification
    noise: float = 2.2  # quantum noise in grey levels at 256 pixels
    distractors: float = 1.0  # multiplies how often nipples, calcifications, skin folds and wires appear


DIFFICULTY = Difficulty()
