"""Transforms and classifiers inside other entries of a matrix."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_serializer, model_validator

from derm_bench.options.base import Options


class TransformUse(Options):
    """A transform in a matrix: `hflip`, `{rotate: 30}` or `{bilateral: {d: 9}}`."""

    name: str = Field(description="the transform")
    options: Any = Field(None, description="its options, or the bare value of its scalar option")

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


class DatasetUse(Options):
    """A data set inside the options of another, for example `of: tuple[DatasetUse, ...]`, written as a bare name or a
    map of its options."""

    name: str = Field(description="the plugin")
    label: str = Field("", description="its name among others; default the plugin's name")
    options: Any = Field(None, description="options of the plugin, written beside its name")

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value, "label": value, "options": {}}
        if isinstance(value, dict) and isinstance(value.get("name"), str):
            value = {**value, "label": value.get("label") or value["name"]}
        if isinstance(value, dict) and "options" not in value:
            own = {key: value[key] for key in ("name", "label") if key in value}
            return own | {"options": {key: option for key, option in value.items() if key not in own}}
        return value


class ClassifierUse(Options):
    """A classifier inside the options of another plugin, for example `members: tuple[ClassifierUse, ...]`.

    It is written and validated like an entry under `classifiers`: a bare name, or a map of the plugin's options with
    `from` and `init`. Pass it as a whole to a `Ref`: `Ref("classifier", member.name, member)`.
    """

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(description="the plugin")
    label: str = Field("", exclude=True, description="its name in messages; default the plugin's name")
    options: Any = Field(None, description="options of the plugin, written beside its name")
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
        """Leaves paths out: the stage that results from this use covers files by content."""
        return _pathless(value)


def _pathless(value: Any) -> Any:
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _pathless(inner) for key, inner in value.items() if not isinstance(inner, Path)}
    if isinstance(value, list | tuple | set | frozenset):
        return [_pathless(inner) for inner in value if not isinstance(inner, Path)]
    return value
