"""An epoch of JPEG files loaded by ImageFolder, PIL transforms and two DataLoader workers."""

import numpy as np
import torch
from side import arguments, now, processor_seconds, report
from torchvision import datasets, transforms
from twice import twice


def main():
    opt = arguments(__doc__, folder=None, store=None, pixels=None, epoch=0)
    if not opt.epoch:
        return twice("baselines.row8", len(list(opt.folder.glob("*/*.jpg"))))
    began, spent = now(opt.device), processor_seconds()
    transform = transforms.Compose(
        [
            transforms.Resize(64),
            transforms.CenterCrop(64),
            transforms.ToTensor(),
            transforms.Normalize((0.5,) * 3, (0.5,) * 3),
        ]
    )
    dataset = datasets.ImageFolder(opt.folder, transform)
    loader = torch.utils.data.DataLoader(dataset, batch_size=opt.batch, shuffle=True, num_workers=2)
    served = 0
    for images, _ in loader:
        served += len(images.to(opt.device))
    seconds, spent = now(opt.device) - began, processor_seconds() - spent
    if opt.pixels:
        first = torch.stack([dataset[i][0] for i in range(min(64, len(dataset)))])
        np.save(opt.pixels, first.mul(127.5).add(127.5).round().byte().numpy())
    report(seconds=seconds, processor_seconds=spent, images=served)


if __name__ == "__main__":
    main()
