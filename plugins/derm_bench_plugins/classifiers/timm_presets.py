"""The networks of the five papers as presets of `timm`: the model, the tag of its published weights, and the side at
which they were trained.

As in the papers, a preset starts from the published weights. It uses their side and the normalisation of timm's
`pretrained_cfg`. `{name: timm, preset: vgg16, pretrained: false, input_size: 64}` is the same network untrained.
AlexNet and GoogLeNet are presets of `torchvision`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class Network:
    """A network as a paper names it.

    `size` is the side in pixels at which the weights were trained, `norm` is their mean and std, `source` is the
    address of the published weights (empty if there are none), and `note` holds remarks on substitutes and choices.
    """

    paper_name: str
    model: str
    size: int
    norm: tuple[tuple[float, ...], tuple[float, ...]]
    source: str
    note: str = ""
    options: Mapping[str, Any] | None = None

    @property
    def preset(self) -> dict[str, Any]:
        weights = {"pretrained": True, "input_size": self.size} if self.source else {}
        return {"model": self.model, **weights, **(self.options or {})}


def _hub(
    paper_name: str, model: str, size: int, norm: Any = IMAGENET, note: str = "", **options: Any
) -> Network:
    """Return a network whose weights are on timm's page of the Hugging Face hub."""
    return Network(paper_name, model, size, norm, f"https://huggingface.co/timm/{model}", note, options)


NETWORKS: dict[str, Network] = {
    "inception-v3": _hub(
        "InceptionV3", "inception_v3.tf_in1k", 299, HALF, "auxiliary logits off; 75 px or more"
    ),
    "inception-resnet-v2": _hub(
        "InceptionResNetV2",
        "inception_resnet_v2.tf_in1k",
        299,
        HALF,
        "paper 001 feeds it 224 px; 75 px or more",
    ),
    "inception-v4": _hub("InceptionV4", "inception_v4.tf_in1k", 299, HALF),
    "resnet50v2": _hub(
        "ResNet50V2", "resnetv2_50.a1h_in1k", 224, HALF, "pre-activation; not Keras's weights"
    ),
    "resnet152v2": Network(
        "ResNet152V2",
        "resnetv2_152",
        224,
        HALF,
        "",
        "untrained only: no weights are published for timm; preset resnet101v2 is the nearest network with weights",
    ),
    "resnet101v2": _hub(
        "ResNet152V2 (substitute)",
        "resnetv2_101.a1h_in1k",
        224,
        HALF,
        "used in place of a pretrained ResNet152V2",
    ),
    "resnet18": _hub("ResNet-18", "resnet18.tv_in1k", 224),
    "resnet50": _hub("ResNet50", "resnet50.tv_in1k", 224, note="the weights of the papers' years"),
    "vgg16": _hub("VGG16", "vgg16.tv_in1k", 224),
    "vgg19": _hub("VGG19", "vgg19.tv_in1k", 224),
    "mobilenet": _hub(
        "MobileNet", "mobilenetv1_100.ra4_e3600_r224_in1k", 224, HALF, "a modern recipe; not Keras's weights"
    ),
    "mobilenet-v2": _hub("MobileNetV2", "mobilenetv2_100.ra_in1k", 224),
    "nasnet-mobile": _hub(
        "NASNetMobile",
        "mnasnet_100.rmsp_in1k",
        224,
        note="a substitute: timm has no NASNetMobile; MnasNet-B1 also comes from a search and is of similar size",
    ),
    "pnasnet-5-large": _hub("PNASNet-5-Large", "pnasnet5large.tf_in1k", 331, HALF),
    "senet154": Network(
        "SENet154",
        "legacy_senet154.in1k",
        224,
        IMAGENET,
        "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/legacy_senet154-e9eb9fe6.pth",
        "the original network",
    ),
    "efficientnet-b2": _hub(
        "EfficientNet-B2", "tf_efficientnet_b2.aa_in1k", 260, note="the weights that Limeros et al. 2022 used"
    ),
    "densenet121": _hub(
        "DenseNet", "densenet121.tv_in1k", 224, note="Rashid et al. 2019 do not say which depth"
    ),
    "densenet201": _hub("DenseNet201", "densenet201.tv_in1k", 224),
    "densenet201-sla": _hub(
        "DenseNet201 of SLA-StyleGAN",
        "densenet201.tv_in1k",
        224,
        note="with the metric loss",
        metric_loss="sla",
    ),
}
