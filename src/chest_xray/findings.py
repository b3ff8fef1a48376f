"""The 14 findings of NIH ChestX-ray14, in the order of every label vector and every logit of this project.

Spelling follows `Data_Entry_2017_v2020.csv` (Wang et al., CVPR 2017).
"""

from typing import Final

FINDINGS: Final[tuple[str, ...]] = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
NO_FINDING: Final = "No Finding"

# BBox_List_2017.csv writes one finding in another way than Data_Entry does.
BBOX_SPELLING: Final[dict[str, str]] = {"Infiltrate": "Infiltration"}

RESEARCH_USE_ONLY: Final = "Research use only. Not a medical device."

# The label version of data that `cxr phantom` drew.
PHANTOM: Final = "phantom"


def describe_source(label_version: str) -> str:
    """What the images are, in words: figures of phantoms are never shown as anything else."""
    return "phantom images" if label_version == PHANTOM else f"NIH images, labels {label_version}"
