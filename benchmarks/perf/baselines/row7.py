"""Inception features, and FID and KID from stored features, by torch-fidelity without its cache."""

import numpy as np
import torch
from side import arguments, now, report
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.utils import create_feature_extractor, get_featuresdict_from_dataset


class Images(torch.utils.data.Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


def fid_and_kid(a, b, **kid_options):
    statistics = fid_features_to_statistics(a), fid_features_to_statistics(b)
    fid = fid_statistics_to_metric(*statistics, verbose=False)
    kid = kid_features_to_metric(a, b, verbose=False, **kid_options)
    return {"fid": fid["frechet_inception_distance"], "kid": float(kid["kernel_inception_distance_mean"])}


def main():
    opt = arguments(__doc__, images=None, features=None, weights=None)
    cuda = opt.device.startswith("cuda")
    torch.backends.cudnn.allow_tf32 = False  # this row compares float32
    images = torch.from_numpy(np.load(opt.images))
    extractor = create_feature_extractor(
        "inception-v3-compat", ["2048"], cuda=cuda, feature_extractor_weights_path=str(opt.weights)
    )

    def extract(part):
        dataset = Images(part)
        return get_featuresdict_from_dataset(dataset, extractor, 64, cuda, save_cpu_ram=False, verbose=False)[
            "2048"
        ]

    extract(images[:8])
    began = now(opt.device)
    features = extract(images)
    seconds = now(opt.device) - began

    stored = torch.from_numpy(np.load(opt.features))
    size = min(1000, stored.shape[1])
    began = now(opt.device)
    of_stored = fid_and_kid(stored[0], stored[1], kid_subset_size=size)
    statistics_seconds = now(opt.device) - began
    half = len(features) // 2
    # A single subset with all images, the only setting in which KID does not depend on random subsets.
    of_images = fid_and_kid(features[:half], features[half:], kid_subsets=1, kid_subset_size=half)
    report(
        rate=len(images) / seconds,
        bf16_rate=len(images) / seconds,  # torch-fidelity supports only float32
        statistics_seconds=statistics_seconds,
        of_images=of_images,
        of_stored={"fid": of_stored["fid"]},
    )


if __name__ == "__main__":
    main()
