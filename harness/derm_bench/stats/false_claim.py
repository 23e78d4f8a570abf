"""The probability that a claimed direction of a difference is wrong.

The question is that of "False Promises in Medical Imaging AI? Assessing Validity of Outperformance Claims"
(arXiv 2505.04720): how probable is it that the method which scored better is not better?

Model: the observed mean difference, which the paired predictions give together with its variance, is Student's t around
the true difference, at the degrees of freedom of the estimate. True differences of strategies are normal around zero.
Their standard deviation is PRIOR_MARGINS margins: with the default margin of 0.02 it is 0.05, so that two thirds of all
strategies change balanced accuracy by less than 5 points. The posterior is computed on a grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from derm_bench.stats.estimate import Estimate

PRIOR_MARGINS = 2.5
"""The standard deviation of true differences before anything is observed, in margins."""

GRID = 4001


def false_claim(found: Estimate, scale: float) -> float:
    """Return the posterior probability that the true difference is zero or has the sign opposite to the observed one.

    scale: the standard deviation of true differences, PRIOR_MARGINS times the margin. It is 0.5 for an observed
    difference of zero.
    """
    import numpy as np

    se = found.variance**0.5
    reach = 8 * scale
    centre = abs(found.mean)
    delta = np.linspace(-reach, reach, GRID)  # with 0 in the middle
    # Where the likelihood is much narrower than the prior, a grid around the estimate resolves it.
    if se < scale / 20:
        delta = np.unique(np.r_[delta, 0.0, np.linspace(centre - 12 * se, centre + 12 * se, GRID)])
    z = (centre - delta) / se
    log = -(found.df + 1) / 2 * np.log1p(z**2 / found.df) - (delta / scale) ** 2 / 2
    density = np.exp(log - log.max())
    below, above = delta <= 0, delta >= 0
    wrong = float(np.trapezoid(density[below], delta[below]))
    right = float(np.trapezoid(density[above], delta[above]))
    return wrong / (wrong + right)
