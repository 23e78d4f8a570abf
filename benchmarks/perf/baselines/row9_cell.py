"""One cell of a study from scratch: balance the classes with DCGAN samples, train a classifier, score both."""

import timm
import torch
from baselines.dcgan import DCGAN, nz
from baselines.row1 import make_loader, train, transform
from side import arguments, report
from sklearn.metrics import balanced_accuracy_score
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset
from torch_fidelity import calculate_metrics
from torchvision import datasets


class Labelled(Dataset):
    def __init__(self, images, label=None):
        self.images, self.label = images, label

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i] if self.label is None else (self.images[i], self.label)


def main():
    opt = arguments(
        __doc__,
        lr=2e-4,
        folder=None,
        weights=None,
        model="resnet18",
        seed=0,
        gan_updates=10,
        classifier_lr=1e-3,
    )
    torch.manual_seed(opt.seed)
    real = datasets.ImageFolder(opt.folder / "train", transform)
    of_class = {k: [i for i, y in enumerate(real.targets) if y == k] for k in range(len(real.classes))}
    most = max(map(len, of_class.values()))

    parts, fidelity = [real], {}
    for label, members in of_class.items():
        if len(members) == most:
            continue
        ours = Subset(real, members)
        synthetic = make_samples(opt, ours, most - len(members))
        parts.append(Labelled(synthetic, label))
        fidelity[real.classes[label]] = score_images(opt, synthetic, ours)

    model = timm.create_model(opt.model, num_classes=len(real.classes)).to(opt.device)
    train_classifier(opt, model, ConcatDataset(parts))
    test = datasets.ImageFolder(opt.folder / "test", transform)
    report(
        balanced_accuracy=evaluate(opt, model, test),
        n_train_real=len(real),
        n_train_synthetic=sum(map(len, parts[1:])),
        n_test=len(test),
        fidelity=fidelity,
    )


def make_samples(opt, images, count):
    gan = DCGAN(opt.device, foreach=False, lr=opt.lr)
    train(gan, make_loader(images, opt.batch), opt.gan_updates)
    gan.netG.eval()
    with torch.no_grad():
        return gan.netG(torch.rand(count, nz, 1, 1, device=opt.device) * 2 - 1).cpu()


def score_images(opt, synthetic, images):
    """Return FID and KID of equally many synthetic and real images."""
    n = min(len(synthetic), len(images))
    as_bytes = [x.mul(127.5).add(127.5).round().byte() for x in synthetic[:n]]
    reals = [images[i][0].mul(127.5).add(127.5).round().byte() for i in range(n)]
    return calculate_metrics(
        input1=Labelled(as_bytes),
        input2=Labelled(reals),
        fid=True,
        kid=True,
        kid_subset_size=n,
        kid_subsets=1,
        feature_extractor_weights_path=str(opt.weights),
        cuda=opt.device.startswith("cuda"),
        cache=False,
        verbose=False,
    )


def train_classifier(opt, model, images):
    loader = make_loader(images, opt.batch)
    optimizer = torch.optim.Adam(model.parameters(), lr=opt.classifier_lr)
    updates = 0
    model.train()
    while updates < opt.updates:
        for x, y in loader:
            loss = torch.nn.functional.cross_entropy(model(x.to(opt.device)), y.to(opt.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            updates += 1
            if updates == opt.updates:
                break


def evaluate(opt, model, test):
    model.eval()
    truth, predicted = [], []
    with torch.no_grad():
        for x, y in DataLoader(test, 256, num_workers=2):
            predicted += model(x.to(opt.device)).argmax(dim=1).tolist()
            truth += y.tolist()
    return float(balanced_accuracy_score(truth, predicted))


if __name__ == "__main__":
    main()
