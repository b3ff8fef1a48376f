"""What is counted from scores and labels: ranks, intervals over patients, calibration errors."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ROUNDS: Final = 2000  # of the bootstrap over patients, unless another number is asked for
