"""How the features of several reference networks lie beside each other in one array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NETWORKS = 6
FEATURES = 256
"""Features per network."""


def by_network(features: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the features [N,256] of each network, given those of `Reference`. Features of another length are taken for
    those of one network."""
    return np.split(features, NETWORKS if features.shape[1] == NETWORKS * FEATURES else 1, axis=1)
