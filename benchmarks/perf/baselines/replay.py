"""Train on recorded batches from recorded weights, so that losses can be compared step by step."""

import torch
from safetensors.torch import load_file


def load_recorded(path, device, **nets):
    """Load weights into `nets` in the order of their state, and return the recorded batches by name. What follows is
    compared with our side, so it is float32: by default, torch lets a GPU round the factors of convolutions to TF32."""
    torch.backends.cudnn.allow_tf32 = False
    recorded = {name: tensor.to(device) for name, tensor in load_file(path).items()}
    for name, net in nets.items():
        values = [recorded.pop(key) for key in sorted(recorded) if key.startswith(f"{name}/")]
        own = net.state_dict()
        net.load_state_dict({key: v.view_as(own[key]) for key, v in zip(own, values, strict=True)})
    return recorded


def replay_gan(path, gan, device):
    """Return the losses of D and G for each recorded step."""
    recorded = load_recorded(path, device, generator=gan.netG, discriminator=gan.netD)
    losses = [gan.step(real, z) for real, z in zip(recorded["images"], recorded["z"], strict=True)]
    return {"loss_d": [float(d) for d, _ in losses], "loss_g": [float(g) for _, g in losses]}
