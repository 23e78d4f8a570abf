"""Tensors by which the weights of common networks are told from those of others. Imports no torch.

The shapes were read from the networks of timm and torchvision; `tests/classifiers/test_known_layers.py` compares them.
"""

from __future__ import annotations

Layers = dict[str, tuple[int, ...]]

BOTH: dict[str, Layers] = {
    "resnet18": {"layer4.1.conv2.weight": (512, 512, 3, 3)},
    "resnet34": {"layer4.2.conv2.weight": (512, 512, 3, 3)},
    "resnet50": {"layer3.5.conv3.weight": (1024, 256, 1, 1), "layer4.2.conv2.weight": (512, 512, 3, 3)},
    "resnet101": {"layer3.22.conv3.weight": (1024, 256, 1, 1)},
    "resnet152": {"layer3.35.conv3.weight": (1024, 256, 1, 1)},
    "wide_resnet50_2": {"layer4.2.conv2.weight": (1024, 1024, 3, 3)},
    "resnext50_32x4d": {"layer4.2.conv2.weight": (1024, 32, 3, 3)},
    "vgg16": {"features.28.weight": (512, 512, 3, 3)},
    "vgg19": {"features.34.weight": (512, 512, 3, 3)},
    "vgg16_bn": {"features.40.weight": (512, 512, 3, 3)},
    "densenet121": {"features.denseblock4.denselayer16.conv1.weight": (128, 992, 1, 1)},
    "densenet169": {"features.denseblock4.denselayer32.conv1.weight": (128, 1632, 1, 1)},
    "densenet201": {"features.denseblock3.denselayer48.conv1.weight": (128, 1760, 1, 1)},
    "inception_v3": {"Mixed_7c.branch_pool.conv.weight": (192, 2048, 1, 1)},
}
"""Networks that have the same names in both libraries."""

TIMM: dict[str, Layers] = BOTH | {
    "resnet10t": {"conv1.0.weight": (24, 3, 3, 3)},
    "resnetv2_50": {"stages.2.blocks.5.conv3.weight": (1024, 256, 1, 1)},
    "resnetv2_101": {"stages.2.blocks.22.conv3.weight": (1024, 256, 1, 1)},
    "efficientnet_b0": {"conv_head.weight": (1280, 320, 1, 1), "conv_stem.weight": (32, 3, 3, 3)},
    "efficientnet_b3": {"conv_head.weight": (1536, 384, 1, 1)},
    "efficientnetv2_s": {"conv_head.weight": (1280, 256, 1, 1)},
    "mobilenetv2_100": {"blocks.3.2.conv_pwl.weight": (64, 384, 1, 1)},
    "mobilenetv3_large_100": {"conv_head.weight": (1280, 960, 1, 1)},
    "mobilenetv3_small_100": {"conv_head.weight": (1024, 576, 1, 1)},
    "convnext_tiny": {"stages.2.blocks.8.mlp.fc2.weight": (384, 1536)},
    "convnext_base": {"stages.2.blocks.26.mlp.fc2.weight": (512, 2048)},
    "vit_tiny_patch16_224": {"blocks.11.mlp.fc2.weight": (192, 768)},
    "vit_small_patch16_224": {"blocks.11.mlp.fc2.weight": (384, 1536)},
    "vit_base_patch16_224": {"blocks.11.mlp.fc2.weight": (768, 3072)},
    "swin_tiny_patch4_window7_224": {"layers.3.blocks.1.mlp.fc2.weight": (768, 3072)},
    "xception": {"conv4.pointwise.weight": (2048, 1536, 1, 1)},
}

TORCHVISION: dict[str, Layers] = BOTH | {
    "efficientnet_b0": {"features.8.0.weight": (1280, 320, 1, 1)},
    "mobilenet_v2": {"features.18.0.weight": (1280, 320, 1, 1)},
    "mobilenet_v3_small": {"features.7.block.1.0.weight": (120, 1, 5, 5)},
    "convnext_tiny": {"features.7.2.block.5.weight": (768, 3072)},
    "vit_b_16": {"encoder.layers.encoder_layer_11.mlp.3.weight": (768, 3072)},
    "swin_t": {"features.7.1.mlp.3.weight": (768, 3072)},
    "alexnet": {"features.10.weight": (256, 256, 3, 3)},
    "squeezenet1_1": {"features.12.expand3x3.weight": (256, 64, 3, 3)},
}
