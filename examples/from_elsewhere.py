"""Weights from elsewhere: a generator that another program has trained is only sampled here.

In a matrix: generator: {name: from-elsewhere, weights: g.pt, trained_on: 1200 dermoscopies of our clinic}, with
`--plugin examples/from_elsewhere.py` on the command line. The harness adds `trained_on` to every generator with an
option `weights`: the report states it. The key covers the content of the file.
"""

from pathlib import Path

from pydantic import Field
from small_gan import SmallGan

from derm_bench import api

DERM_BENCH_API = 1


class ElsewhereOptions(api.GeneratorOptions):
    weights: Path = Field(description="state of `small_nets.generator`, from torch.save or as safetensors")


@api.hookimpl
def derm_bench_generators() -> list[api.GeneratorSpec]:
    return [
        api.GeneratorSpec(
            name="from-elsewhere",
            summary="a generator that another program has trained",
            create="from_elsewhere:Elsewhere",
            options=ElsewhereOptions,
            trains=False,
        )
    ]


class Elsewhere(SmallGan):
    def fit(self, train: api.ImageSet, run: api.Run) -> None:
        weights = api.read_weights(self.options.weights)
        self.load_state({f"generator.{name}": value for name, value in weights.items()})

    def parts(self):
        return {"generator": self.g}
