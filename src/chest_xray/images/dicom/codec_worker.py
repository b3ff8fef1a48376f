"""A process that decodes compressed DICOM frames with GDCM: `python -m chest_xray.images.dicom.codec_worker`.

GDCM is C++ that holds the interpreter's lock and can crash or run without end on a hostile stream. Here that costs
this process only. Its memory is bounded, an alarm ends it should its parent be gone while a stream never ends, and
an idle one ends when its parent does.

Each request on standard input is `REQUEST` and the stream; each answer on standard output is `ANSWER` and the
samples, little endian, colours pixel by pixel. A stream that GDCM refuses is answered with no bytes.
"""

import os
import select
import signal
import struct
import sys
from typing import Any, BinaryIO, Final

# Last number of the transfer syntax, rows, columns, samples a pixel, bits a sample, seconds, bytes of the stream.
REQUEST: Final = struct.Struct("!7I")
ANSWER: Final = struct.Struct("!Q")
READY: Final = b"+"
SYNTAXES: Final = "1.2.840.10008.1.2.4."
# Measured: 685 MB of address space, 415 MB of it in use, for JPEG 2000 of 40 million pixels of 12 bits.
MEMORY_BYTES: Final = 768 * 1024 * 1024
_PARENT_LOOK_SECONDS: Final = 2.0


def main() -> None:
    """Answer requests until standard input ends or the parent is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    requests, answers = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    # What GDCM itself prints goes nowhere.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    import gdcm

    _bound_memory()
    answers.write(READY)
    answers.flush()
    parent = os.getppid()
    while _has_request(requests, parent):
        header = requests.read(REQUEST.size)
        if len(header) < REQUEST.size:
            return
        _answer(gdcm, REQUEST.unpack(header), requests, answers)


def _bound_memory() -> None:
    """Address space and core files; only Linux holds a process to the former."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _has_request(requests: BinaryIO, parent: int) -> bool:
    """Wait for bytes or the end of the parent; the pipe alone does not tell, as a fork may hold it open."""
    while not select.select([requests], [], [], _PARENT_LOOK_SECONDS)[0]:
        if os.getppid() != parent:
            return False
    return True


def _answer(gdcm: Any, request: tuple[int, ...], requests: BinaryIO, answers: BinaryIO) -> None:
    *shape, seconds, length = request
    stream = requests.read(length)
    signal.alarm(seconds)
    samples = _decode(gdcm, stream, *shape)
    signal.alarm(0)
    answers.write(ANSWER.pack(len(samples)))
    answers.write(samples)
    answers.flush()


def _decode(gdcm: Any, stream: bytes, syntax: int, rows: int, columns: int, samples: int, precision: int) -> bytes:
    """The samples of one frame; no bytes where GDCM refuses the stream."""
    kind = gdcm.TransferSyntax.GetTSType(f"{SYNTAXES}{syntax}")
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(_pixel_data(gdcm, stream))
    photometric = gdcm.PhotometricInterpretation.GetPIType("RGB" if samples == 3 else "MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(photometric))
    if samples == 3:
        image.SetPlanarConfiguration(0)
    image.SetTransferSyntax(gdcm.TransferSyntax(kind))
    image.SetPixelFormat(gdcm.PixelFormat(samples, 8 if precision <= 8 else 16, precision, precision - 1, 0))
    # A string with one character a byte, None where the stream is refused.
    decoded = image.GetBuffer()
    return decoded.encode("utf-8", "surrogateescape") if decoded else b""


def _pixel_data(gdcm: Any, stream: bytes) -> Any:
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(stream)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    return element


if __name__ == "__main__":
    main()
