"""A stage kind of a third party: how many colours the decoded images have. Imports no torch."""

from dataclasses import dataclass

from derm_bench.plan.book import Entry
from derm_bench.plan.kinds import StageKind, register


@dataclass(frozen=True, kw_only=True)
class CountColours:
    """`levels`: how many levels of each channel are told apart."""

    levels: int


KIND = register(
    StageKind(
        name="count-colours",
        word="analyse",
        function="colours.stage:count_colours",
        params=CountColours,
        title="count the colours of {label}",
        on_device=False,
    )
)


def enter(book, label, *, levels=8):
    """Enters the stage for a data set of the plan."""
    entry = Entry(inputs={"decode": book.plan.decodes[label]}, words={"label": label})
    return book.enter(KIND.name, CountColours(levels=levels), entry)
