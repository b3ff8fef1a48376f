"""One picture of phantom films with their maps and boxes: what the figures of localisation look like.

For each finding it shows the box whose overlap is the median, so that a reader sees the usual case and not the best.
Only phantoms are drawn: a folder of evaluations is handed around, and films of patients are not.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from chest_xray.data.shards import Shards
from chest_xray.evaluation.localise.boxes import BoxTable
from chest_xray.evaluation.localise.regions import find_marks, overlaps
from chest_xray.images.class_maps import evidence, overlay
from chest_xray.notices import RESEARCH_USE_ONLY
from chest_xray.statistics import Floats

_SIDE: Final = 320
_GAP: Final = 12
_CAPTION: Final = 44
_COLUMNS: Final = 4
_MOST: Final = 8
_PAPER, _INK, _FAINT_INK = (16, 16, 16), (240, 240, 240), (170, 170, 170)
_BOX = (0, 229, 255)  # a cyan that plasma does not hold
_REGION = (255, 255, 255)


def panel_png(shards: Shards, table: BoxTable, cams: NDArray[np.float32]) -> bytes:
    """The PNG file of up to eight findings: film, map (n, h, w), box, best region and peak of the median case."""
    cases = [(finding, *_median_case(table, cams, finding)) for finding in _most_frequent(table)]
    columns = min(_COLUMNS, len(cases))
    rows = -(-len(cases) // columns)
    size = (columns * (_SIDE + _GAP) + _GAP, rows * (_SIDE + _CAPTION + _GAP) + 3 * _GAP + 2 * _CAPTION)
    whole = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(whole)
    font = ImageFont.load_default(size=17)
    draw.text((_GAP, _GAP), "Phantom films: the box of median overlap of each finding", font=font, fill=_INK)
    for number, (finding, n, iou) in enumerate(cases):
        left = _GAP + number % columns * (_SIDE + _GAP)
        top = _GAP + _CAPTION + number // columns * (_SIDE + _CAPTION + _GAP)
        whole.paste(_tile(shards.read([int(table.rows[n])])[0], cams[n], table.places[n]), (left, top))
        draw.text((left, top + _SIDE + 6), table.names[finding].replace("_", " "), font=font, fill=_INK)
        draw.text((left + _SIDE, top + _SIDE + 6), f"IoU {iou:.2f}", font=font, fill=_FAINT_INK, anchor="ra")
    bottom = size[1] - _CAPTION
    legend = f"cyan: box   white: best region   cross: peak of the map   {RESEARCH_USE_ONLY}"
    draw.text((_GAP, bottom), legend, font=ImageFont.load_default(size=14), fill=_FAINT_INK)
    stream = io.BytesIO()
    whole.save(stream, format="PNG")
    return stream.getvalue()


def _most_frequent(table: BoxTable) -> list[int]:
    counts = np.bincount(table.findings, minlength=len(table.names))
    chosen = np.argsort(-counts, kind="stable")[:_MOST]
    return sorted(int(k) for k in chosen if counts[k])


def _median_case(table: BoxTable, cams: NDArray[np.float32], finding: int) -> tuple[int, float]:
    """The row of the table whose best overlap is the (lower) median of the finding's, and that overlap."""
    rows = np.flatnonzero(table.findings == finding)
    best = [_best_region(cams[n], table.places[n] * _SIDE)[1] for n in rows]
    place = int(np.argsort(best, kind="stable")[(len(best) - 1) // 2])
    return int(rows[place]), best[place]


def _best_region(cam: NDArray[np.float32], box: Floats) -> tuple[Floats | None, float]:
    regions = find_marks(evidence(cam, _SIDE, _SIDE)).regions
    if len(regions) == 0:
        return None, 0.0
    iou, _ = overlaps(regions, box)
    return regions[iou.argmax()], float(iou.max())


def _tile(film: NDArray[np.uint8], cam: NDArray[np.float32], place: Floats) -> Image.Image:
    enlarged = np.asarray(Image.fromarray(film).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))
    tile = Image.fromarray(overlay(enlarged, cam))
    draw = ImageDraw.Draw(tile)
    region, _ = _best_region(cam, place * _SIDE)
    if region is not None:
        draw.rectangle(_corners(region), outline=_REGION, width=1)
    draw.rectangle(_corners(place * _SIDE), outline=_BOX, width=2)
    peak = find_marks(evidence(cam, _SIDE, _SIDE)).peak
    if np.isfinite(peak).all():
        x, y = peak.tolist()
        draw.line((x - 7, y, x + 7, y), fill=_REGION, width=2)
        draw.line((x, y - 7, x, y + 7), fill=_REGION, width=2)
    return tile


def _corners(box: Floats) -> tuple[int, int, int, int]:
    left, top, right, bottom = np.rint(box).astype(int).clip(0, _SIDE).tolist()
    return left, top, max(right - 1, left), max(bottom - 1, top)
