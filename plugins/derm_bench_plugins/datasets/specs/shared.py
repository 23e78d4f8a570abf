"""Options that several data sets share."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options


class AllowsMissing(Options):
    """Options of a data set whose table and image files may not match. What is set aside is counted and listed."""

    missing: float = Field(
        0.0,
        ge=0,
        le=1,
        description="largest share of rows without an image, and of images without a row, that is set aside",
    )
    partial: bool = Field(
        False,
        description="the images are a part of the data set on purpose: any number of rows may be without an image",
    )
