"""What stands beside every figure: what it may be used for, and of what images it is."""

from typing import Final

RESEARCH_USE_ONLY: Final = "Research use only. Not a medical device."

# The label version of data that `cxr phantom` drew.
PHANTOM: Final = "phantom"
# Those of NIH's own films.
NIH_LABELS: Final = ("v2020", "2017")


def describe_source(label_version: str) -> str:
    """What the images are, in words: figures of phantoms are never shown as anything else."""
    if label_version == PHANTOM:
        return "phantom images"
    whose = "NIH images" if label_version in NIH_LABELS else "images"
    return f"{whose}, labels {label_version}"
