"""Weights from elsewhere: a generator that another program has trained is only sampled here.

In a matrix: generator: {name: from-elsewhere, weights: g.pt, trained_on: 1200 dermoscopies of our clinic}, with
`--plugin examples/from_elsewhere.py` on the command line. The key covers the content of the file.
"""

from pathlib import Path

from pydantic import Field
from small_gan import SmallGan

from derm_bench import api

DERM_BENCH_API = 1


class ElsewhereOptions(api.GeneratorOptions):
    weights: Path = Field(description="state of `small_nets.generator`, from torch.save or as safetensors")
    trained_on: str = Field(
        min_length=1, description="the images that it was trained on, in words for the report"
    )
    sees_test: bool = Field(default=False, description="whether images of val or test may be among them")


def provenance(options: ElsewhereOptions) -> api.Provenance:
    statement = f"made by weights that were trained on {options.trained_on}"
    return api.Provenance(statement, sees_test=options.sees_test)


@api.hookimpl
def derm_bench_generators() -> list[api.GeneratorSpec]:
    return [
        api.GeneratorSpec(
            name="from-elsewhere",
            summary="a generator that another program has trained",
            create="from_elsewhere:Elsewhere",
            options=ElsewhereOptions,
            provenance="from_elsewhere:provenance",
            trains=False,
            presets={"tiny": {"trained_on": "phantoms"}, "smoke": {"trained_on": "phantoms"}},
        )
    ]


class Elsewhere(SmallGan):
    def fit(self, train: api.ImageSet, run: api.Run) -> None:
        weights = api.read_weights(self.options.weights)
        self.load_state({f"generator.{name}": value for name, value in weights.items()})

    def parts(self):
        return {"generator": self.g}
