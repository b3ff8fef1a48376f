"""DICOM files for tests: written by pydicom, compressed by GDCM, with patients who do not exist."""

import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import config, dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from chest_xray.data.phantom.film import draw_golden_film

__all__ = [
    "DX",
    "CTImageStorage",
    "DeflatedExplicitVRLittleEndian",
    "ExplicitVRLittleEndian",
    "ImplicitVRLittleEndian",
    "JPEG2000Lossless",
    "JPEGBaseline8Bit",
    "JPEGLSLossless",
    "JPEGLosslessSV1",
    "RLELossless",
    "SecondaryCaptureImageStorage",
]

DX: Final = DigitalXRayImageStorageForPresentation
# What must never come out of a file again.
PLANTED: Final = {
    "PatientName": "PLANTED^JANE",
    "PatientID": "PLANTED-4711",
    "PatientBirthDate": "19331224",
    "StudyDate": "20210317",
    "StudyTime": "235911.123",
    "AccessionNumber": "PLANTEDACC99",
    "InstitutionName": "PLANTED HOSPITAL",
    "ReferringPhysicianName": "PLANTED^REFERRER",
    "StudyDescription": "PLANTED study",
    "SeriesDescription": "PLANTED series",
    "StationName": "PLANTEDSTATION",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.4711",
    "ImageComments": "PLANTED comment",
    "PatientAddress": "PLANTED STREET 7",
}


def ramp(bits: int = 12, shape: tuple[int, int] = (24, 40), *, signed: bool = False) -> NDArray[Any]:
    """Values from the lowest to the highest that `bits` hold, each row another stretch of them."""
    low = -(2 ** (bits - 1)) if signed else 0
    values = np.linspace(low, low + 2**bits - 1, shape[0] * shape[1]).round().reshape(shape)
    kind = np.dtype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")
    return values.astype(kind)


def dicom(
    pixels: NDArray[Any] | None = None,
    *,
    syntax: str = ExplicitVRLittleEndian,
    bits: int = 12,
    encode: Callable[[NDArray[Any]], bytes] | None = None,
    **tags: Any,
) -> bytes:
    """A chest radiograph with `pixels` (H, W) or (H, W, 3); `tags` are set last, by keyword, None removes one.

    `encode` compresses the pixels; by default the encoder of `syntax`.
    """
    pixels = ramp(bits) if pixels is None else pixels
    bits = bits if pixels.dtype.itemsize == 2 else 8
    with _unchecked():
        data = _described(pixels, bits)
        data.file_meta.TransferSyntaxUID = syntax
        data.PixelData, data["PixelData"].VR = _pixel_data(pixels, syntax, encode, bits)
        for keyword, value in tags.items():
            if value is None:
                del data[keyword]
            else:
                _set(data, keyword, value)
        file = io.BytesIO()
        data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def chest(side: int = 160, bits: int = 12) -> NDArray[np.uint16]:
    """A drawn film (side, side) over the values of `bits`: level g of 0..255 is g / 255 of the largest."""
    return np.rint(draw_golden_film(side) * ((2**bits - 1) / 255)).astype(np.uint16)


def lut(entries: NDArray[Any], first: int, bits: int, *, packed: bool = False) -> Sequence:
    """A modality or VOI lookup table; `packed` has two entries of 8 bits in a word."""
    data = entries.astype("u1" if packed else "<u2").tobytes()
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "OW", data + bytes(len(data) % 2))
    return Sequence([item])


def code(value: str) -> Sequence:
    """A coded concept of SNOMED CT."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", "PLANTED meaning"
    return Sequence([item])


@cache
def small_files() -> list[bytes]:
    """One sound file of each transfer syntax and of each way of presentation."""
    window = {"WindowCenter": "2000", "WindowWidth": "1500"}
    return [
        dicom(**PLANTED),
        dicom(syntax=ImplicitVRLittleEndian, **window),
        dicom(syntax=DeflatedExplicitVRLittleEndian, PhotometricInterpretation="MONOCHROME1"),
        dicom(ramp(8), SOPClassUID=SecondaryCaptureImageStorage, Modality="OT"),
        dicom(np.stack([ramp(8)] * 3, -1)),
        dicom(VOILUTSequence=lut(np.arange(4096) // 16, 0, 8)),
        dicom(ModalityLUTSequence=lut(np.arange(4096)[::-1], 0, 16), ViewCodeSequence=code("272479007")),
        dicom(ramp(12, signed=True), RescaleSlope="2", RescaleIntercept="-3", VOILUTFunction="SIGMOID", **window),
        *(dicom(syntax=syntax) for syntax in (RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless)),
        dicom(ramp(8), syntax=JPEGBaseline8Bit),
    ]


def gdcm_stream(pixels: NDArray[Any], syntax: str, bits: int) -> bytes:
    """`pixels` compressed by GDCM without loss."""
    import gdcm

    with tempfile.TemporaryDirectory() as folder:
        native, compressed = Path(folder) / "native.dcm", Path(folder) / "compressed.dcm"
        native.write_bytes(dicom(pixels, bits=bits))
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(os.fspath(native))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(os.fspath(compressed))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return next(generate_frames(dcmread(compressed).PixelData, number_of_frames=1))


def jpeg_stream(pixels: NDArray[Any], **options: Any) -> bytes:
    """`pixels` as baseline JPEG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **{"quality": 95, **options})
    return file.getvalue()


def _described(pixels: NDArray[Any], bits: int) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.SOPClassUID, data.SOPInstanceUID = DX, "1.2.826.0.1.3680043.8.498.1"
    data.file_meta.MediaStorageSOPClassUID = DX
    data.Modality, data.BodyPartExamined, data.ViewPosition = "DX", "CHEST", "PA"
    data.PatientAge, data.PatientSex = "045Y", "F"
    data.Rows, data.Columns = pixels.shape[:2]
    data.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    data.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = 8 * pixels.dtype.itemsize
    data.BitsStored, data.HighBit = bits, bits - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    return data


def _pixel_data(
    pixels: NDArray[Any], syntax: str, encode: Callable[[NDArray[Any]], bytes] | None, bits: int
) -> tuple[bytes, str]:
    if encode is None and syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        raw = pixels.tobytes()
        return raw + bytes(len(raw) % 2), "OW" if pixels.itemsize == 2 else "OB"
    if encode is not None:
        stream = encode(pixels)
    elif syntax == JPEGBaseline8Bit:
        stream = jpeg_stream(pixels)
    else:
        stream = gdcm_stream(pixels, syntax, bits)
    return encapsulate([stream]), "OB"


@contextmanager
def _unchecked() -> Iterator[None]:
    """pydicom's writer without its own checks of values, which broken files are made past."""
    before = config.settings.reading_validation_mode, config.settings.writing_validation_mode
    config.settings.reading_validation_mode = config.settings.writing_validation_mode = config.IGNORE
    try:
        yield
    finally:
        config.settings.reading_validation_mode, config.settings.writing_validation_mode = before


def _set(data: Dataset, keyword: str, value: Any) -> None:
    try:
        setattr(data, keyword, value)
    except ValueError:
        # Text where pydicom insists on a number.
        data.add_new(keyword, "LO", value)
