"""Is this DICOM file one frontal radiograph of the chest? Said by its own tags, before a pixel is decoded.

A message quotes what a tag says only where it is a term that the standard defines: anything else could be a
patient's name typed into the wrong field.
"""

import re
from typing import Final

from chest_xray.errors import ImageUnsuitableError
from chest_xray.images.dicom import tags
from chest_xray.images.dicom.patient_orientation import check_frontal
from chest_xray.images.dicom.tags import name
from chest_xray.images.dicom.values import Values, integer_string, term, text
from chest_xray.images.dicom.walk import Elements
from chest_xray.images.film import Sex, View

_STORAGE: Final = b"1.2.840.10008.5.1.4.1.1."
# CR, DX for presentation and for processing, and Secondary Capture with its four later forms.
_SOP_CLASSES: Final = frozenset(
    _STORAGE + end for end in (b"1", b"1.1", b"1.1.1", b"7", b"7.1", b"7.2", b"7.3", b"7.4")
)
# RG is conventional film; Secondary Captures of a film often say OT, "other".
_MODALITIES: Final = frozenset(("CR", "DX", "RG", "OT"))
# PS3.3 C.7.3.1.1.1, what else a radiology archive holds.
_OTHER_MODALITIES: Final = frozenset(
    (
        "AU", "BI", "BMD", "CT", "DG", "DOC", "ECG", "ES", "FID", "GM", "HC", "HD", "IO", "IVOCT", "IVUS", "KER",
        "KO", "LS", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPT", "OPV", "OT", "PR", "PT", "PX", "REG", "RESP", "RF",
        "RTDOSE", "RTIMAGE", "RTPLAN", "RTRECORD", "RTSTRUCT", "SEG", "SM", "SMR", "SR", "ST", "TG", "US", "VA",
        "XA", "XC",
    )
)  # fmt: skip
_CHEST: Final = frozenset(("CHEST", "THORAX", "TORAX", "LUNG", "LUNGS"))
_BESIDE_CHEST: Final = frozenset(("PA", "AP", "FRONTAL", "PORTABLE", "PORT", "BEDSIDE", "BED"))
# PS3.16 annex L, what else is radiographed.
_OTHER_PARTS: Final = frozenset(
    (
        "ABDOMEN", "ANKLE", "ARM", "BREAST", "CALCANEUS", "CLAVICLE", "CSPINE", "ELBOW", "EXTREMITY", "FEMUR",
        "FINGER", "FOOT", "FOREARM", "HAND", "HEAD", "HIP", "HUMERUS", "JAW", "KNEE", "LEG", "LSPINE", "NECK",
        "PELVIS", "RIB", "SCAPULA", "SHOULDER", "SKULL", "SPINE", "SSPINE", "STERNUM", "TSPINE", "WRIST",
    )
)  # fmt: skip
_FRONTAL: Final[dict[str, View]] = {"PA": "PA", "AP": "AP"}
# PS3.3 C.8.11.7.1.1: lateral, lateral decubitus and oblique; and how people write lateral.
_NOT_FRONTAL: Final = frozenset(
    (
        "LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAO", "RAO", "LPO", "RPO", "LAT", "LATERAL", "LLAT", "RLAT", "LTLAT",
        "RTLAT", "LATERALE", "LATEROLATERAL", "PROFIL", "PROFILE", "SEITLICH",
    )
)  # fmt: skip
# PS3.16 CID 4010, in SNOMED CT and in the codes before it.
_LATERAL_CODES: Final = frozenset((b"399067008", b"399173006", b"399198007", b"R-102CD", b"R-10236", b"R-10232"))
_VIEW_CODES: Final[dict[bytes, View]] = {
    b"272479007": "PA", b"R-40888": "PA", b"R-10214": "PA", b"399348003": "AP", b"R-10206": "AP",
}  # fmt: skip
_AGE: Final = re.compile(rb"(\d{1,3})([DWMY]?)")
_AGES_IN_A_YEAR: Final = {b"D": 365.25, b"W": 52.18, b"M": 12.0, b"Y": 1.0, b"": 1.0}
_OLDEST: Final = 120


def check_suitable(elements: Elements) -> None:
    """Refuse what is no single frontal radiograph of the chest.

    Raises:
        ImageUnsuitableError: by its class, modality, body part, view, orientation, number of frames, or for want of
            pixels.
    """
    values = elements.values
    _check_modality(values)
    _check_body_part(values)
    _check_view(elements)
    check_frontal(values)
    if integer_string(values, tags.FRAMES, 1) > 1:
        raise ImageUnsuitableError(f"{name(tags.FRAMES)} is more than 1; one frame is expected.")
    if elements.native is None and elements.fragments is None:
        raise ImageUnsuitableError(f"The DICOM file has no {name(tags.PIXEL_DATA)}; one radiograph is expected.")


def view(elements: Elements) -> View | None:
    """The view that the file names, None for any other than PA and AP."""
    said = _FRONTAL.get(term(elements.values, tags.VIEW_POSITION))
    return said or _VIEW_CODES.get(text(elements.items.get(tags.VIEW_CODE, {}), tags.CODE_VALUE))


def age(values: Values) -> int | None:
    """Whole years, from `045Y`, `006M`, `002W`, `010D` or bare years; None where they are absent or absurd."""
    found = _AGE.fullmatch(text(values, tags.AGE).upper())
    if not found:
        return None
    years = int(int(found[1]) / _AGES_IN_A_YEAR[found[2]])
    return years if years <= _OLDEST else None


def sex(values: Values) -> Sex | None:
    """F or M, None for anything else."""
    found = term(values, tags.SEX)
    return "F" if found == "F" else "M" if found == "M" else None


def _check_modality(values: Values) -> None:
    modality = term(values, tags.MODALITY)
    if text(values, tags.MODALITY) and modality not in _MODALITIES:
        raise _unsuitable(tags.MODALITY, modality, _OTHER_MODALITIES, "CR, DX, RG or OT")
    sop_class = text(values, tags.SOP_CLASS)
    if sop_class and sop_class not in _SOP_CLASSES:
        raise _unsuitable(tags.SOP_CLASS, "", frozenset(), "a CR, DX or Secondary Capture image")
    if not sop_class and not modality:
        raise ImageUnsuitableError(f"The DICOM file has no {name(tags.MODALITY)}; CR, DX, RG or OT is expected.")


def _check_body_part(values: Values) -> None:
    if not text(values, tags.BODY_PART):
        return
    part = term(values, tags.BODY_PART)
    words = frozenset(re.split("[^A-Z]+", part)) - {""}
    if not words & _CHEST or words - _CHEST - _BESIDE_CHEST:
        raise _unsuitable(tags.BODY_PART, part, _OTHER_PARTS, "CHEST")


def _check_view(elements: Elements) -> None:
    position = term(elements.values, tags.VIEW_POSITION)
    sideways = _NOT_FRONTAL & frozenset(re.split("[^A-Z]+", position))
    if sideways:
        raise _unsuitable(tags.VIEW_POSITION, min(sideways), _NOT_FRONTAL, "PA or AP")
    if text(elements.items.get(tags.VIEW_CODE, {}), tags.CODE_VALUE) in _LATERAL_CODES:
        raise _unsuitable(tags.VIEW_CODE, "lateral", frozenset(("lateral",)), "postero-anterior or antero-posterior")


def _unsuitable(tag: int, found: str, defined: frozenset[str], expected: str) -> ImageUnsuitableError:
    said = f"is {found}" if found in defined else "is something else"
    return ImageUnsuitableError(f"{name(tag)} {said}; {expected} is expected.")
