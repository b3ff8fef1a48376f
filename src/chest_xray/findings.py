"""The 14 findings of NIH ChestX-ray14, in the order of NIH's label vectors and of their logits.

Spelling follows `Data_Entry_2017_v2020.csv` (Wang et al., CVPR 2017). Only what reads or draws NIH's data knows this
list; everything after it takes its findings from the shards, the run, the bundle or the predictor.
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
