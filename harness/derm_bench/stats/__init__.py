"""Statistics of comparisons: pure functions on arrays, one module per subject. `docs/statistics.md` explains them.

`estimate`: the interval of a mean or of a paired difference. `test_images`, `seeds`: the two sources of its variance.
`verdict`: helps, hurts, equivalent or inconclusive. `families`: Holm's correction. `ranks`: rank intervals and groups.
`false_claim`: the probability that a claimed direction is wrong. `detectable`: the smallest difference that is found.
`pair_of_models`: McNemar and DeLong. `data_sets`: Wilcoxon, Friedman and Nemenyi over data sets.

Nothing here imports torch, and numpy and scipy are imported only when something is computed.
"""
