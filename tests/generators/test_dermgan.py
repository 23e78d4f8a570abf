"""dermgan: its condition maps, its U-Net and patches, what it varies, and masks from elsewhere."""

import numpy as np
import pytest
import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.specs import SampleRequest, Task
from derm_bench.testing.phantoms import phantoms
from derm_bench.testing.runs import RecordedRun
from derm_bench.training.stage_run import seed_everything
from derm_bench_plugins.generators import dermgan
from derm_bench_plugins.generators.dermgan import Dermgan, Patches, UNet
from derm_bench_plugins.generators.masks import boxes, skin_tones
from derm_bench_plugins.generators.specs.dermgan import DermganOptions


def tiny(size=16, classes=("a", "b"), **options):
    seed_everything(0)
    return Dermgan(DermganOptions(base=4, batch_size=8, **options), Task(classes, size))


def l_shape(size=16):
    """A mask like an L: rows 4 to 9, columns 6 to 7; row 9, columns 6 to 11."""
    mask = torch.zeros(1, 1, size, size)
    mask[..., 4:10, 6:8] = 1
    mask[..., 9, 6:12] = 1
    return mask


@pytest.mark.parametrize("region", ["box", "mask"])
def test_a_map_is_the_class_colour_inside_and_the_skin_tone_outside(region):
    mask = l_shape().repeat(2, 1, 1, 1)
    image = torch.empty(2, 3, 16, 16)
    image[:] = torch.tensor([0.6, 0.2, 0.0]).view(1, 3, 1, 1)
    image[:, :, 4:10, 6:8] = image[:, :, 9:10, 6:12] = -0.9  # the lesion, which has no part in the tone
    maps = tiny(region=region).maps(mask, skin_tones(image, mask), torch.eye(2))
    inside = np.zeros((16, 16), bool)
    if region == "box":
        inside[4:10, 6:12] = True
    else:
        inside = mask[0, 0].numpy() > 0
    for k, colour in enumerate([(-1, -1, 1), (1, 1, -1)]):  # blue, and yellow opposite
        expected = np.where(
            inside, np.array(colour).reshape(3, 1, 1), np.array([0.6, 0.2, 0]).reshape(3, 1, 1)
        )
        assert np.allclose(maps[k].numpy(), expected, atol=1e-3)


def test_class_colours_are_saturated_and_apart():
    colours = dermgan.class_colours(7)
    assert ((colours.amax(1) == 1) & (colours.amin(1) == -1)).all()
    assert torch.pdist(colours).min() > 0.8


def patch(layers, base=4):
    """Side of the square of pixels that one logit depends on, by gradients; norms, which see all of it, taken out."""
    net = Patches(base, layers).double()
    for block in net.hidden[1:]:
        block[1] = nn.Identity()
    images = torch.randn(1, 3, 160, 160, dtype=torch.float64, requires_grad=True)
    _, logits = net(torch.zeros_like(images), images)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    return int((images.grad.abs().sum(dim=(0, 1, 2)) > 0).sum())


def test_patches_are_70_pixels_at_the_depth_of_pix2pix_and_smaller_below():
    # Backwards from a logit: r = 1, then r = s (r - 1) + k for each layer from the last to the first.
    def by_hand(strides, r=1):
        for stride in reversed(strides):
            r = stride * (r - 1) + 4
        return r

    assert by_hand([2, 2, 2, 1, 1]) == 70 and by_hand([2, 2, 1, 1]) == 34 and by_hand([2, 1, 1]) == 16
    assert [patch(layers) for layers in (3, 2, 1)] == [70, 34, 16]
    assert [dermgan.patch_layers(side) for side in (512, 256, 128, 64, 32, 16)] == [3, 3, 2, 1, 1, 1]


def test_the_u_net_goes_down_to_one_pixel_and_up_by_resize_convolutions():
    net = UNet(64, 8)
    assert not any(isinstance(module, nn.ConvTranspose2d) for module in net.modules())
    assert [down.conv.out_channels for down in net.down] == [64, 128, 256, 512, 512, 512, 512, 512]
    assert [up.conv[1].in_channels for up in net.up] == [512, 1024, 1024, 1024, 1024, 512, 256]
    sides = []
    small = UNet(4, 5)
    for down in small.down:
        down.register_forward_hook(lambda m, i, out: sides.append(out.shape[-1]))
    draws = torch.Generator().manual_seed(0)
    assert small(torch.zeros(2, 3, 32, 32), draws).shape == (2, 3, 32, 32) and sides == [16, 8, 4, 2, 1]


def test_dropout_draws_from_the_generator_it_is_given():
    net, maps = UNet(4, 4).eval(), torch.randn(2, 3, 16, 16)
    one, same, other = (net(maps, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.allclose(one, other, atol=1e-4)


def test_losses_over_the_lesion_and_over_features_by_hand():
    error = torch.zeros(1, 3, 4, 4)
    error[..., 1:3, 1:3] = torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 1:3, 1:4] = 1  # four pixels of error 3 in the mean, two without
    assert dermgan.mean_over(error, mask).item() == pytest.approx(4 * 3 / 6)
    assert dermgan.mean_over(error, mask * 0).item() == 0
    fakes = [torch.full((2, 3), 1.0), torch.full((5,), -1.0)]
    reals = [torch.full((2, 3), 3.0), torch.full((5,), 3.0)]
    assert dermgan.matching(fakes, reals).item() == pytest.approx((2 + 4) / 2)


def test_places_are_resized_and_moved_within_what_is_asked_and_else_stay():
    masks = torch.zeros(200, 1, 32, 32)
    masks[..., 10:18, 12:24] = 1  # 8 high, 12 wide, middle at 13.5, 17.5
    draws = torch.Generator().manual_seed(0)
    assert torch.allclose(dermgan.moved(masks, 0, 0, draws), masks, atol=1e-5)
    moved = boxes(dermgan.moved(masks, 0.25, 0.1, draws)).squeeze(1)
    heights, widths = moved.any(2).sum(1), moved.any(1).sum(1)
    assert heights.min() in (5, 6, 7) and heights.max() in (9, 10, 11)
    assert widths.min() in (8, 9, 10) and widths.max() in (14, 15, 16)
    middle = (moved.any(2) * torch.arange(32)).sum(1) / heights
    assert 13.5 - 4.2 < middle.min() < 11.5 and 15.5 < middle.max() < 13.5 + 4.2


def test_new_maps_mix_places_and_tones_of_images_of_the_class():
    train = phantoms(classes=2, size=16)
    gan = tiny(classes=train.classes)
    rows = torch.nonzero(train.labels == 1).flatten()
    maps = gan.new_maps(train, rows, SampleRequest(1, len(rows), 3))
    inside = (maps == gan.colours[1].view(1, 3, 1, 1)).all(dim=1)
    assert inside.any(dim=(1, 2)).all() and not inside.all()
    own = skin_tones(train.images.float() / 127.5 - 1, train.masks.float() / 255)
    tones = maps[:, :, 0, 0][~inside[:, 0, 0]]
    distance = torch.cdist(tones, own[rows])
    assert distance.min(dim=1).values.max() < 1e-3
    assert (distance.argmin(dim=1) != torch.arange(len(rows))[~inside[:, 0, 0]]).any()


def test_it_learns_its_maps_and_samples_name_their_sources():
    train = phantoms(classes=2, size=16)
    gan, run = tiny(classes=train.classes, lr=2e-3), RecordedRun(seed=0, budget=40)
    gan.fit(train, run)
    curve = [row.value for row in run.history() if row.metric == "l1"]
    assert curve[-1] < 0.6 * curve[0]
    samples = gan.sample(SampleRequest(1, 6, 3), train)
    assert samples.images.shape == (6, 3, 16, 16)
    assert {train.labels[train.ids.index(name)].item() for name in samples.source_ids} == {1}


def test_without_masks_otsu_finds_the_lesions():
    train = phantoms(classes=2, size=16)
    bare = type(train)(train.images, train.labels, train.classes, train.ids, train.groups)
    gan = tiny(classes=train.classes)
    gan.fit(bare, RecordedRun(seed=0, budget=2))
    assert gan.sample(SampleRequest(0, 2, 3), bare).images.shape == (2, 3, 16, 16)


def test_a_side_that_halves_to_no_pixel_is_refused():
    with pytest.raises(UserError, match="a power of two of at least 16, not 48"):
        tiny(48)
