"""guard.npz: what a bundle knows of its training films, and the two measures over it.

    mean, scale             (1024,)     of the square root of the films' embeddings
    components, variances   (q, 1024), (q,)  the leading principal components of the standardised roots
    rest                    ()          the variance of each direction outside them
    pose_weights            (14, 1024)  a linear discriminant of the 14 `POSES` over thumbnails of 32 x 32
    pose_biases             (14,)

float32, no pickle. Training fits them, the predictor measures with them.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from chest_xray.errors import BundleError

EMBEDDING_SIZE: Final = 1024
THUMBNAIL_SIDE: Final = 32
CROPS: Final = tuple(f"cropped_{row}_{column}" for row in ("top", "middle", "bottom") for column in range(3))
POSES: Final = ("upright", "inverted", "rotated_90", "rotated_180", "rotated_270", *CROPS)

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FilmStatistics:
    """The arrays of guard.npz, in float64. Shapes and meaning stand at the top of this module."""

    mean: Vector
    scale: Vector
    components: Vector
    variances: Vector
    rest: Vector
    pose_weights: Vector
    pose_biases: Vector

    @classmethod
    def parse(cls, data: bytes, path: Path) -> Self:
        """Read and check the bytes of a guard.npz; `path` names it in messages.

        Raises:
            BundleError: it is not such a file, lacks an array, or one has another shape or a value that cannot be.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                arrays = {name: np.asarray(stored[name]) for name in stored.files}
        # What numpy and zipfile raise for bytes that are no such archive, or a damaged one.
        except (OSError, ValueError, EOFError, TypeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            raise BundleError(f"{path} is not an archive of arrays: {error}. Export the bundle again.") from error
        _check(path, arrays)
        return cls(**{name: array.astype(np.float64) for name, array in arrays.items()})

    def to_bytes(self) -> bytes:
        """The file's bytes; equal statistics give equal bytes."""
        stream = io.BytesIO()
        arrays: dict[str, Any] = {name: getattr(self, name).astype(np.float32) for name in _NAMES}
        # numpy dates every member 1980-01-01, so nothing of the moment is in the file.
        np.savez(stream, allow_pickle=False, **arrays)
        return stream.getvalue()

    def as_stored(self) -> Self:
        """The statistics in the precision of the file, which is what a predictor measures with."""
        arrays = {name: getattr(self, name).astype(np.float32).astype(np.float64) for name in _NAMES}
        return type(self)(**arrays)

    def distance(self, embeddings: NDArray[np.floating[Any]]) -> Vector:
        """How far embeddings (N, 1024) lie from the training films' (N,); a training film is near 1.

        The Mahalanobis distance over the square root of 1024, with the covariance of probabilistic PCA: a variance
        for each leading component, one for all other directions (Tipping and Bishop, 1999). The square root evens out
        the long tails of pooled ReLU outputs; what is below 0 counts as 0.
        """
        roots = np.sqrt(np.maximum(embeddings.astype(np.float64), 0.0))
        standard = (roots - self.mean) / self.scale
        along = standard @ self.components.T
        outside = np.maximum((standard**2).sum(axis=1) - (along**2).sum(axis=1), 0.0)
        total: Vector = (along**2 / self.variances).sum(axis=1) + outside / self.rest
        return np.sqrt(total / EMBEDDING_SIZE)

    def pose_gains(self, thumbnails: Vector) -> Vector:
        """How much better each other pose explains thumbnails (N, 1024) than upright does: (N, 13), log likelihood.

        In the order of `POSES` without the first. Above 0, the pose is likelier than upright.
        """
        scores = thumbnails @ self.pose_weights.T + self.pose_biases
        gains: Vector = scores[:, 1:] - scores[:, :1]
        return gains


_NAMES: Final = tuple(field.name for field in fields(FilmStatistics))
_POSITIVE: Final = ("scale", "variances", "rest")


def _check(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    if set(arrays) != set(_NAMES):
        raise BundleError(f"{path} holds {', '.join(arrays)}; expected {', '.join(_NAMES)}. Export the bundle again.")
    kept = arrays["components"].shape[0] if arrays["components"].ndim else 0
    thumbnail = THUMBNAIL_SIDE**2
    shapes: dict[str, tuple[int, ...]] = {
        "mean": (EMBEDDING_SIZE,),
        "scale": (EMBEDDING_SIZE,),
        "components": (kept, EMBEDDING_SIZE),
        "variances": (kept,),
        "rest": (),
        "pose_weights": (len(POSES), thumbnail),
        "pose_biases": (len(POSES),),
    }
    for name, shape in shapes.items():
        found = arrays[name]
        if found.shape != shape or found.dtype != np.float32:
            raise BundleError(
                f"{path}: {name} is {found.dtype} {found.shape}; expected float32 {shape}. Export the bundle again."
            )
        if not np.isfinite(found).all() or (name in _POSITIVE and not (found > 0).all()):
            wanted = "above 0" if name in _POSITIVE else "finite"
            raise BundleError(f"{path}: {name} has a value that is not {wanted}. Export the bundle again.")
