"""Transforms and classifiers as a matrix writes them inside other entries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_serializer, model_validator

from derm_bench.options.base import Options


class TransformUse(Options):
    """A transform as a matrix writes it: `hflip`, `{rotate: 30}` or `{bilateral: {d: 9}}`."""

    name: str = Field(description="the transform")
    options: Any = Field(None, description="its options, or a bare value for the one that it names")

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value, "options": {}}
        if isinstance(value, dict) and len(value) == 1 and "name" not in value:
            ((name, options),) = value.items()
            return {"name": name, "options": options}
        if isinstance(value, dict) and isinstance(value.get("name"), str) and "options" not in value:
            return {"name": value["name"], "options": {k: v for k, v in value.items() if k != "name"}}
        return value


class ClassifierUse(Options):
    """A classifier as a matrix writes it, inside of another plugin's options: `members: tuple[ClassifierUse, ...]`.

    Loading a matrix validates each like an entry under `classifiers`: a bare name, or a map of the plugin's options
    with `from` and `init`. It is handed on whole: `Ref("classifier", member.name, member)`.
    """

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(description="the plugin")
    label: str = Field("", exclude=True, description="what messages call it; default its name")
    options: Any = Field(None, description="the plugin's options, written beside its name")
    taken_from: Any = Field(None, alias="from", description="a part of a fitted generator to start from")
    init: Any = Field(None, description="start from the same network trained on another data set")

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value, "options": {}}
        if isinstance(value, dict) and "options" not in value:
            own = {key: value[key] for key in ("name", "label", "from", "taken_from", "init") if key in value}
            return own | {"options": {key: option for key, option in value.items() if key not in own}}
        return value

    @field_serializer("options", "taken_from", "init")
    def _without_paths(self, value: Any) -> Any:
        """Where files lie is no part of what is written: the stage that the use becomes knows them by content."""
        return _pathless(value)


def _pathless(value: Any) -> Any:
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {key: _pathless(inner) for key, inner in value.items() if not isinstance(inner, Path)}
    return [_pathless(inner) for inner in value] if isinstance(value, list | tuple) else value
