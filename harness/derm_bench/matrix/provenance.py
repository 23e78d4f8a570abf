"""What is stated about the data behind a generator that derm-bench did not train, or not from the start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from derm_bench.matrix.options import PluginLookup, states_weights
from derm_bench.options.pretrained import TrainedOn, ids_in, weights_options
from derm_bench.plugins.culprit import blaming
from derm_bench.specs import Provenance, load_object


def stated_by(use: Any, plugins: PluginLookup) -> Provenance:
    """The provenance that the plugin of a generator states, or else that of the weights that it starts from. Empty for
    a generator that is trained from the start."""
    spec = plugins.get("generator", use.name)
    path = getattr(spec, "provenance", None)
    if path:
        with blaming(spec, plugins, "provenance(options)"):
            stated: Provenance = load_object(path)(use.options)
        return _with_ids(stated, use.options)
    if not _starts_from_weights(spec, use.options):
        return Provenance("")
    made = "made by a model that started from weights"
    options = use.options
    if not isinstance(options, TrainedOn) or options.trained_on is None:
        return Provenance(f"{made} of unknown origin")
    statement = f"{made} stated to be trained on '{options.trained_on}'"
    return _with_ids(Provenance(statement, options.split or "", options.sees_test), options)


def _with_ids(stated: Provenance, options: Any) -> Provenance:
    """The provenance with the ids of `training_ids`, if the options have such a file."""
    if not isinstance(options, TrainedOn) or options.training_ids is None:
        return stated
    return replace(stated, saw=ids_in(options.training_ids))


def lacks_statement(use: Any, plugins: PluginLookup) -> bool:
    """Whether a generator starts from weights and `trained_on`, which it takes, is not given."""
    spec = plugins.get("generator", use.name)
    starts = states_weights(spec) and _starts_from_weights(spec, use.options)
    return starts and use.options.trained_on is None


def _starts_from_weights(spec: Any, options: Any) -> bool:
    return any(getattr(options, name, None) is not None for name in weights_options(spec.options))
