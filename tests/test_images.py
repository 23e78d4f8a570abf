"""Images in memory and on disk: subsets, named data, and the layout in which they lie."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from derm_bench.images import ImageSet, load_images, save_images
from derm_bench.training.resize import resized


def image_set(n=6, size=8, **more):
    names = tuple(map(str, range(n)))
    images = torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(images, torch.arange(n) % 2, ("a", "b"), names, names, **more)


def interleaved(images):
    """The same values as a view of an array [N,H,W,C]."""
    return images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def is_interleaved(images):
    return images.permute(0, 2, 3, 1).is_contiguous() and not images.is_contiguous()


DATA = {
    "volume": torch.arange(6 * 24, dtype=torch.float64).view(6, 2, 3, 4),
    "hair": torch.arange(6, dtype=torch.int16),
    "seen": torch.tensor([True, False] * 3),
}


def test_named_data_goes_where_its_images_go():
    some = image_set(data=DATA).subset([4, 1, 4])
    assert {name: values.dtype for name, values in some.data.items()} == {
        "volume": torch.float64,
        "hair": torch.int16,
        "seen": torch.bool,
    }
    assert all(torch.equal(some.data[name], DATA[name][[4, 1, 4]]) for name in DATA)
    only = image_set(data=DATA).of_classes(["b"])
    assert only.data["hair"].tolist() == [1, 3, 5]
    assert replace(image_set(data=DATA), classes=("x", "y")).data is DATA


def test_resizing_images_leaves_named_data_as_it_is():
    assert all(values is DATA[name] for name, values in resized(image_set(data=DATA), 4).data.items())


@pytest.mark.parametrize("values", [torch.zeros(5, 2), torch.tensor(1.0)], ids=["five rows", "a number"])
def test_named_data_has_a_row_for_each_image(values):
    with pytest.raises(ValueError, match="data 'hair' must have 6 rows, one per image"):
        image_set(data={"hair": values})


def test_a_subset_has_the_layout_of_the_whole():
    plain = image_set()
    laid = replace(plain, images=interleaved(plain.images), masks=interleaved(plain.images[:, :1]))
    some = laid.subset([3, 0])
    assert is_interleaved(some.images) and torch.equal(some.images, plain.images[[3, 0]])
    assert torch.equal(some.masks, plain.images[[3, 0], :1])
    assert plain.subset([3, 0]).images.is_contiguous()


@pytest.mark.parametrize("channels", [3, 1])
def test_images_lie_on_disk_channels_last_and_are_loaded_as_a_view_of_that(tmp_path, channels):
    images = image_set().images[:, :channels]
    save_images(tmp_path / "images.npy", images)
    stored = np.load(tmp_path / "images.npy")
    assert stored.shape == (6, 8, 8, channels) and stored.flags.c_contiguous
    for rows in (None, [5, 0, 5], [2, 3, 4], range(6), []):
        loaded = load_images(tmp_path / "images.npy", rows)
        assert torch.equal(loaded, images if rows is None else images[rows])
        assert loaded.dtype == torch.uint8 and loaded.permute(0, 2, 3, 1).is_contiguous()
        loaded.fill_(0)  # what is read belongs to the reader, in a copy or a private map
    assert np.array_equal(np.load(tmp_path / "images.npy"), stored)


@pytest.mark.parametrize(
    "array", [np.zeros((2, 3, 8, 8), np.uint8), np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8), np.uint8)]
)
def test_a_file_of_another_kind_is_refused_with_its_shape(tmp_path, array):
    np.save(tmp_path / "images.npy", array)
    with pytest.raises(
        ValueError, match=r"must contain uint8 \[N,H,W,3\] or \[N,H,W,1\], not (uint8|float64) \(2, "
    ):
        load_images(tmp_path / "images.npy")
