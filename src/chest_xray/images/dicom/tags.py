"""The data elements of a DICOM file that are kept, and the names that messages give them (PS3.6)."""

from typing import Final

TRANSFER_SYNTAX: Final = 0x00020010
SOP_CLASS: Final = 0x00080016
MODALITY: Final = 0x00080060
INTENT: Final = 0x00080068
CODE_VALUE: Final = 0x00080100
CODE_SCHEME: Final = 0x00080102
SEX: Final = 0x00100040
AGE: Final = 0x00101010
BODY_PART: Final = 0x00180015
VIEW_POSITION: Final = 0x00185101
ORIENTATION: Final = 0x00200020
SAMPLES: Final = 0x00280002
PHOTOMETRIC: Final = 0x00280004
PLANAR: Final = 0x00280006
FRAMES: Final = 0x00280008
ROWS: Final = 0x00280010
COLUMNS: Final = 0x00280011
BITS_ALLOCATED: Final = 0x00280100
BITS_STORED: Final = 0x00280101
HIGH_BIT: Final = 0x00280102
SIGNED: Final = 0x00280103
PADDING: Final = 0x00280120
PADDING_LIMIT: Final = 0x00280121
RELATIONSHIP: Final = 0x00281040
WINDOW_CENTER: Final = 0x00281050
WINDOW_WIDTH: Final = 0x00281051
INTERCEPT: Final = 0x00281052
SLOPE: Final = 0x00281053
VOI_FUNCTION: Final = 0x00281056
MODALITY_LUT: Final = 0x00283000
LUT_DESCRIPTOR: Final = 0x00283002
LUT_DATA: Final = 0x00283006
VOI_LUT: Final = 0x00283010
VIEW_CODE: Final = 0x00540220
LUT_SHAPE: Final = 0x20500020
PIXEL_DATA: Final = 0x7FE00010

_NAMES: Final = {
    SOP_CLASS: "SOP Class UID",
    MODALITY: "Modality",
    INTENT: "Presentation Intent Type",
    SEX: "Patient's Sex",
    AGE: "Patient's Age",
    BODY_PART: "Body Part Examined",
    VIEW_POSITION: "View Position",
    ORIENTATION: "Patient Orientation",
    SAMPLES: "Samples per Pixel",
    PHOTOMETRIC: "Photometric Interpretation",
    PLANAR: "Planar Configuration",
    FRAMES: "Number of Frames",
    ROWS: "Rows",
    COLUMNS: "Columns",
    BITS_ALLOCATED: "Bits Allocated",
    BITS_STORED: "Bits Stored",
    HIGH_BIT: "High Bit",
    SIGNED: "Pixel Representation",
    PADDING: "Pixel Padding Value",
    PADDING_LIMIT: "Pixel Padding Range Limit",
    RELATIONSHIP: "Pixel Intensity Relationship",
    WINDOW_CENTER: "Window Center",
    WINDOW_WIDTH: "Window Width",
    INTERCEPT: "Rescale Intercept",
    SLOPE: "Rescale Slope",
    VOI_FUNCTION: "VOI LUT Function",
    MODALITY_LUT: "Modality LUT Sequence",
    LUT_DESCRIPTOR: "LUT Descriptor",
    LUT_DATA: "LUT Data",
    VOI_LUT: "VOI LUT Sequence",
    VIEW_CODE: "View Code Sequence",
    LUT_SHAPE: "Presentation LUT Shape",
    PIXEL_DATA: "Pixel Data",
}

KEPT_SEQUENCES: Final = frozenset((MODALITY_LUT, VOI_LUT, VIEW_CODE))
KEPT_IN_ITEMS: Final = frozenset((CODE_VALUE, CODE_SCHEME, LUT_DESCRIPTOR, LUT_DATA))
KEPT: Final = frozenset(_NAMES) - KEPT_SEQUENCES - KEPT_IN_ITEMS - {PIXEL_DATA} | {TRANSFER_SYNTAX}


def name(tag: int) -> str:
    """How a message names a tag, as in `(0008,0060) Modality`."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {_NAMES[tag]}"
