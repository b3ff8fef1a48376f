"""Procedural chest radiographs as an NIH-format folder: data for a demonstration and for tests, of nobody's body.

The films teach a network to find what they show and nothing about patients: a score on them says that the pipeline
works, not that a model does. `difficulty.py` holds what makes them easy or hard, `cohort.py` who has what.
"""

from chest_xray.data.phantom.difficulty import DIFFICULTY, Difficulty
from chest_xray.data.phantom.film import draw_golden_film
from chest_xray.data.phantom.folder import PhantomReport, write_phantom

__all__ = ["DIFFICULTY", "Difficulty", "PhantomReport", "draw_golden_film", "write_phantom"]
