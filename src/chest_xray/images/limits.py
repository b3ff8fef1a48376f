"""What an image may cost. Checked before anything is decoded."""

from dataclasses import dataclass

from chest_xray.errors import ImageError, ImageTooLargeError


@dataclass(frozen=True)
class Limits:
    """Upper bounds of one image file.

    A digital radiograph has at most about 30 million pixels. Within these bounds, decoding any file keeps its process
    under 512 MB.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_pixels: int = 40_000_000
    max_side: int = 20_000

    def check_bytes(self, count: int) -> None:
        """Refuse a file of `count` bytes.

        Raises:
            ImageError: the file is empty.
            ImageTooLargeError: the file is longer than `max_bytes`.
        """
        if count == 0:
            raise ImageError("The image file is empty (0 bytes).")
        if count > self.max_bytes:
            raise ImageTooLargeError(f"The image file has {count:,} bytes; at most {self.max_bytes:,} are read.")

    def check_size(self, width: int, height: int) -> None:
        """Refuse an image by the width and height that its header declares, in pixels.

        Raises:
            ImageError: a side is 0.
            ImageTooLargeError: a side or the number of pixels is over its bound.
        """
        if width < 1 or height < 1:
            raise ImageError(f"The image header declares {width}x{height} pixels; an image has at least 1x1.")
        if max(width, height) > self.max_side or width * height > self.max_pixels:
            raise ImageTooLargeError(
                f"The image has {width}x{height} pixels; at most {self.max_pixels:,} in all "
                f"and {self.max_side:,} a side are decoded."
            )


DEFAULT_LIMITS = Limits()
