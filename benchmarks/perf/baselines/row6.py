"""A timm classifier at 64 px as in timm's train script: PIL augmentation, two DataLoader workers, fp32, SGD."""

import sys

import timm
import torch
from baselines.replay import load_recorded
from side import Clock, arguments, report
from timm.data import create_transform
from torchvision import datasets


def main():
    opt = arguments(__doc__, lr=0.05, folder=None, model="resnet18")
    classes = [path for path in opt.folder.iterdir() if path.is_dir()]
    model = timm.create_model(opt.model, num_classes=len(classes)).to(opt.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=opt.lr, momentum=0.9)
    loss_fn = torch.nn.CrossEntropyLoss(label_smoothing=0.1)

    def step(images, target):
        loss = loss_fn(model(images), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    model.train()
    if opt.replay:
        recorded = load_recorded(opt.replay, opt.device, net=model)
        batches = zip(recorded["images"], recorded["targets"].argmax(dim=2), strict=True)
        return report(losses={"loss": [float(step(*batch)) for batch in batches]})

    clock = Clock(opt.device)
    transform = create_transform(64, is_training=True, mean=(0.5,) * 3, std=(0.5,) * 3)
    loader = torch.utils.data.DataLoader(
        datasets.ImageFolder(opt.folder, transform),
        batch_size=opt.batch,
        shuffle=True,
        num_workers=2,
        drop_last=True,
    )
    updates = 0
    while updates < opt.updates:
        for images, target in loader:
            if updates == opt.warmup:
                clock.warmed_up()
            loss = step(images.to(opt.device), target.to(opt.device))
            updates += 1
            if updates % 50 == 0:
                print(f"{updates}/{opt.updates} loss {loss.item():.3f}", file=sys.stderr)
            if updates == opt.updates:
                break
    report(**clock.rates(opt.updates * opt.batch, (opt.updates - opt.warmup) * opt.batch))


if __name__ == "__main__":
    main()
