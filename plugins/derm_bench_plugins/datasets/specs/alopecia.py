"""Options and spec of `alopecia`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from derm_bench.specs import DatasetSpec, DatasetUse, Options
from derm_bench_plugins.datasets.specs.clinics import DermnetOptions
from derm_bench_plugins.datasets.specs.faces import Figaro1kOptions


class AlopeciaOptions(Options):
    """The data of paper 000: photographs of hair of Figaro1k as healthy, and those of alopecia areata of DermNet in
    three severities, which a table gives."""

    root: Path | None = Field(None, description="folder with both data sets, at any depth")
    figaro1k: Path | None = Field(None, description="folder of Figaro1k; default `root`")
    dermnet: Path | None = Field(None, description="folder of DermNet; default `root`")
    severity: Path | None = Field(
        None,
        description="table with the columns image (path below the folder of DermNet, or name of the file) and severity "
        "(mild, moderate, severe, or exclude); default severity.csv in the folder of DermNet or in `root`. "
        "`derm-bench data inspect --template FILE` writes one to fill in",
    )
    label_map: Path | dict[str, dict[str, str | None]] | None = Field(
        None,
        description="YAML file, or map, with the class of each label below figaro1k and dermnet, null to leave its "
        "images out. Default: all hair styles are healthy, severities are classes",
    )
    dedup: tuple[Literal["id", "pixels"], ...] = Field(
        ("pixels",), description="which images are kept once; pixels: those with equal pixels"
    )

    @model_validator(mode="after")
    def _both_are_somewhere(self) -> AlopeciaOptions:
        missing = [name for name in ("figaro1k", "dermnet") if self.root is None and not getattr(self, name)]
        if missing:
            raise ValueError(f"give `{'` and `'.join(missing)}`, or `root`, a folder with both data sets")
        return self

    @property
    def of(self) -> tuple[DatasetUse, ...]:
        """The two data sets, as `union` has them."""
        figaro, dermnet = self.figaro1k or self.root, self.dermnet or self.root
        assert figaro is not None and dermnet is not None
        parts = {"figaro1k": Figaro1kOptions(root=figaro), "dermnet": DermnetOptions(root=dermnet)}
        return tuple(DatasetUse(name=name, label=name, options=given) for name, given in parts.items())


SPEC = DatasetSpec(
    name="alopecia",
    summary="Figaro1k (healthy) and DermNet's alopecia areata, graded by a table of severities",
    paper="paper 000, section on data",
    create="derm_bench_plugins.datasets.alopecia:Alopecia",
    options=AlopeciaOptions,
    parts=lambda options: options.of,
    recognise="derm_bench_plugins.datasets.recognising:alopecia",
)
