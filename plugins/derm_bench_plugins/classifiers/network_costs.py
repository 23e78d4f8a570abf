"""Multiply-adds of classification networks, for forecasts. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from derm_bench_plugins.classifiers.model_registry import model_names, source_of

SIDE = 224

GIGA = {
    r"test_\w+": 0.01,
    r"resnet10t": 1.1,
    r"resnet14t": 1.7,
    r"resnet18(d|t)?": 1.8,
    r"resnet26(d|t)?": 2.4,
    r"resnet34(d)?": 3.7,
    r"(se|ec)?resnet(v2_)?50(d|t|s)?": 4.1,
    r"(se)?resnet(v2_)?101(d|s)?": 7.8,
    r"(se)?resnet(v2_)?152(d|s)?": 11.6,
    r"wide_resnet50_2": 11.4,
    r"wide_resnet101_2": 22.8,
    r"(se)?resnext50_32x4d": 4.3,
    r"(se)?resnext101_32x4d": 8.0,
    r"(se)?resnext101_32x8d": 16.5,
    r"vgg11(_bn)?": 7.6,
    r"vgg13(_bn)?": 11.3,
    r"vgg16(_bn)?": 15.5,
    r"vgg19(_bn)?": 19.6,
    r"densenet121": 2.9,
    r"densenet161": 7.8,
    r"densenet169": 3.4,
    r"densenet201": 4.3,
    r"inception_v3": 3.2,
    r"inception_v4": 6.9,
    r"inception_resnet_v2": 7.4,
    r"(legacy_)?xception": 4.6,
    r"mobilenetv2_050": 0.1,
    r"mobilenetv2_100": 0.3,
    r"mobilenetv2_140": 0.6,
    r"mobilenetv3_small_100": 0.06,
    r"mobilenetv3_large_100": 0.22,
    r"(tf_)?efficientnet_b0": 0.4,
    r"(tf_)?efficientnet_b1": 0.6,
    r"(tf_)?efficientnet_b2": 0.75,
    r"(tf_)?efficientnet_b3": 1.0,
    r"(tf_)?efficientnet_b4": 1.6,
    r"(tf_)?efficientnet_b5": 2.5,
    r"(tf_)?efficientnet_b6": 3.5,
    r"(tf_)?efficientnet_b7": 5.3,
    r"convnext(v2)?_atto": 0.55,
    r"convnext(v2)?_femto": 0.8,
    r"convnext(v2)?_pico": 1.4,
    r"convnext(v2)?_nano": 2.5,
    r"convnext(v2)?_tiny": 4.5,
    r"convnext(v2)?_small": 8.7,
    r"convnext(v2)?_base": 15.4,
    r"convnext(v2)?_large": 34.4,
    r"(vit|deit)_tiny_patch16_\d+": 1.3,
    r"(vit|deit)_small_patch16_\d+": 4.6,
    r"(vit|deit)_base_patch16_\d+": 17.6,
    r"vit_base_patch32_\d+": 4.4,
    r"vit_large_patch16_\d+": 61.6,
    r"swin_tiny_patch4_\w+": 4.5,
    r"swin_small_patch4_\w+": 8.7,
    r"swin_base_patch4_\w+": 15.5,
}
"""Multiply-adds of a forward pass at 224 px in billions, rounded, from the papers of the networks."""


def timm_cost(options: Mapping[str, Any], side: int) -> float | None:
    """Return the multiply-adds of one image of `side` pixels in a network of timm; None if they are unknown."""
    giga = _of_timm(str(options.get("model", "")).partition(".")[0])
    return None if giga is None else _at(giga, side)


@lru_cache(maxsize=128)
def _of_timm(architecture: str) -> float | None:
    return next((giga for pattern, giga in GIGA.items() if re.fullmatch(pattern, architecture)), None)


def torchvision_cost(options: Mapping[str, Any], side: int) -> float | None:
    """Return the multiply-adds of one image of `side` pixels in a network of torchvision, which states those of its
    published weights; None if there are none."""
    stated = _stated_by_torchvision(str(options.get("model", "")))
    return None if stated is None else _at(stated, side)


@lru_cache(maxsize=32)
def _stated_by_torchvision(model: str) -> float | None:
    """The billions of multiply-adds in the description of the first published weights of a model."""
    if model not in model_names("torchvision"):
        return None
    source = source_of("torchvision", model)
    weights = re.search(rf"^def {re.escape(model)}\([^)]*?weights: Optional\[(\w+)\]", source, re.MULTILINE)
    if weights is None:
        return None
    stated = re.compile(r'"_ops": ([\d.]+)').search(source, source.find(f"class {weights[1]}("))
    return float(stated[1]) if stated else None


def _at(giga: float, side: int) -> float:
    """Multiply-adds at another side: convolutions and patches grow with the number of pixels."""
    return giga * 1e9 * (side / SIDE) ** 2
