"""aagan: from photographs to volumes, strands and photographs of the same class."""

import math

import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from derm_bench.images import ImageSet
from derm_bench.specs import SampleRequest, Task
from derm_bench.testing.runs import RecordedRun
from derm_bench_plugins.generators.aagan import Aagan, middle_of, plans
from derm_bench_plugins.generators.aagan_photo import Photograph, bald_share, closed, hair_mask, scalp_of
from derm_bench_plugins.generators.aagan_render import (
    Turn,
    drawn,
    hair_of,
    kept_off,
    reduced,
    seeds,
    shrunk,
    strands,
    warped,
    with_light,
)
from derm_bench_plugins.generators.aagan_volume import (
    Field,
    cosines,
    directions,
    grow,
    lengths,
    lift,
    surface_depth,
    unit,
)
from derm_bench_plugins.generators.hair_volume import HairVolume
from derm_bench_plugins.generators.specs.aagan import AaganOptions, requires
from derm_bench_plugins.generators.specs.hair_volume import HairVolumeOptions
from derm_bench_plugins.hair.head import rotation
from derm_bench_plugins.hair.render import Light, covered, halve

SIZE = 64


def photo(seed=0, patch=0):
    """A disc of vertical dark lines on skin, with a bald patch of this radius in its middle; and its mask."""
    rng = np.random.default_rng(seed)
    image = np.full((SIZE, SIZE, 3), (224, 180, 150), np.uint8)
    mask = cv2.circle(np.zeros((SIZE, SIZE), np.uint8), (32, 30), 20, 255, cv2.FILLED)
    lines = np.where(np.arange(SIZE) % 4 < 2, 40, 80) + rng.integers(0, 8, (SIZE, SIZE))
    if patch:
        cv2.circle(mask, (32, 30), patch, 0, cv2.FILLED)
    image[mask > 0] = np.stack([lines, lines * 0.7, lines * 0.5], 2)[mask > 0]
    return image, mask


def train_set(masks=True):
    pairs = [photo(k, 5 * (k // 3)) for k in range(6)]
    pixels, marks = (torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))
    names = tuple(f"photo{k}" for k in range(6))
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    return ImageSet(
        pixels.permute(0, 3, 1, 2), labels, ("healthy", "patchy"), names, names,
        masks=marks[:, None] if masks else None,
    )  # fmt: skip


def network():
    torch.manual_seed(0)
    return HairVolume(HairVolumeOptions(side=128, width=0.03), Task(("healthy", "patchy"), SIZE))


def aagan(**options):
    given = {"side": 128, "maps_only": True, "strands": 400, **options}
    inputs = {} if given["maps_only"] else {"volume": network()}
    made = Aagan(AaganOptions(**given), Task(("healthy", "patchy"), SIZE, inputs=inputs))
    made.fit(train_set(), RecordedRun(seed=0, budget=1))
    return made


def downwards(side=128):
    """A volume [3,D,H,W] with hair that hangs down everywhere in the middle."""
    volume = torch.zeros(3, 3 * side // 32, side // 8, side // 8)
    volume[:, 2:10, 2:14, 2:14] = torch.tensor([0.5, 1.0, 0.5]).view(3, 1, 1, 1)
    return volume


# ---------------------------------------------------------------------------------------- volumes


def test_a_lifted_map_lies_at_the_depth_of_the_bust_with_its_directions():
    maps = torch.zeros(1, 4, 128, 128)
    maps[:, 0], maps[:, 1], maps[:, 2] = 0.5, 1.0, 1.0  # down, certain
    maps[:, 3] = 0.5
    vectors, hair = directions(lift(maps))
    assert (
        hair[0, 0, 6].all() and hair[0, 0, 5].all() and not hair[0, 0, 8:].any() and not hair[0, 0, :4].any()
    )
    assert torch.allclose(vectors[0, :, 6, 8, 8], torch.tensor([0.0, 1.0, 0.0]), atol=1e-5)
    maps[:, :3, :, 64:] = 0  # no hair on the right
    assert not directions(lift(maps))[1][..., 8:].any()


def test_directions_of_a_lifted_map_follow_a_slope():
    """The bust falls away downwards by half a side per side: hair that grows down goes back as well."""
    maps = torch.zeros(1, 4, 128, 128)
    maps[:, 0], maps[:, 1], maps[:, 2] = 0.5, 1.0, 1.0
    maps[:, 3] = 0.2 + (torch.arange(128) / 128 * 0.5 / 0.75).view(1, -1, 1)
    vectors, hair = directions(lift(maps))
    inner = vectors[0, :, :, 8, 8][:, hair[0, 0, :, 8, 8]]
    expected = torch.tensor([0.0, 1.0, 0.5]) / math.hypot(1, 0.5)
    assert torch.allclose(inner, expected[:, None].expand_as(inner), atol=0.02)


def test_lengths_and_cosines_are_those_of_torch_and_have_a_gradient_where_a_vector_is_0():
    torch.manual_seed(0)
    ones, others = torch.randn(2, 4, 3, 5, 6)
    ones[0, :, 0, 0] = 0
    assert torch.allclose(unit(ones), torch.nn.functional.normalize(ones, dim=1), atol=1e-6)
    assert torch.allclose(
        cosines(ones, others), torch.nn.functional.cosine_similarity(ones, others, dim=1), atol=1e-6
    )
    ones.requires_grad_(True)
    (slope,) = torch.autograd.grad(cosines(ones, others).sum() + lengths(ones).sum(), ones)
    assert slope.isfinite().all()
    (expected,) = torch.autograd.grad(ones.norm(dim=1).sum(), ones)
    (found,) = torch.autograd.grad(lengths(ones).sum(), ones)
    assert torch.allclose(found, expected, atol=1e-6)


def test_the_surface_is_the_first_voxel_with_hair_from_the_front():
    _, hair = directions(downwards()[None])
    z = surface_depth(hair)[0]
    assert z[8, 8].item() == pytest.approx((2.5 / 12 - 0.5) * 0.75) and z[0, 0] == math.inf


def test_strands_follow_the_volume_through_their_seeds():
    field = Field.of(downwards())
    points = grow(field, torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.1, 0.05]]))
    assert len(points) == 2
    assert torch.allclose(points[:, points.shape[1] // 2], torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.1, 0.05]]))
    steps = points.diff(dim=1)
    assert (steps[..., 1] >= -1e-6).all() and steps[..., [0, 2]].abs().max() < 1e-5  # from root to tip: down
    reach = points[0, :, 1]
    assert reach.min() < -0.25 and reach.max() > 0.25


def test_a_strand_ends_at_a_sharp_turn_and_averages_a_milder_one():
    volume = downwards()
    volume[1, :, 8:] = 1 - volume[1, :, 8:]  # up in the lower half: a turn of 180 degrees
    seed = torch.tensor([[0.0, -0.2, 0.0]])
    points = grow(Field.of(volume), seed)
    assert points[0, :, 1].max() < 0.06
    sideways = downwards()
    sideways[:, :, 8:] = torch.where(
        sideways[:1, :, 8:] > 0, torch.tensor([1.0, 0.5, 0.5]).view(3, 1, 1, 1), 0
    )
    turned = grow(Field.of(sideways), seed)
    assert turned[0, -1, 0] > 0.05  # goes on to the right


def test_short_strands_are_left_out():
    volume = downwards()
    volume[:, :, :, 2:4] = 0
    volume[:, 5:7, 3:4, 2:3] = torch.tensor([0.5, 1.0, 0.5]).view(3, 1, 1, 1)  # an island of one voxel
    island = torch.tensor([[(2.5 / 16) - 0.5, (3.5 / 16) - 0.5, 0.0]])
    points = grow(Field.of(volume), torch.cat([island, torch.zeros(1, 3), torch.full((1, 3), 0.05)]))
    assert len(points) == 2


# ------------------------------------------------------------------------------------- photographs


def test_bald_patches_belong_to_the_scalp():
    _, mask = photo(patch=7)
    hair = mask > 0
    assert scalp_of(hair)[30, 32] and not hair[30, 32]
    assert bald_share(hair) == pytest.approx((math.pi * 7.5**2) / (math.pi * 20.5**2), rel=0.2)
    assert bald_share(photo()[1] > 0) < 0.02
    assert bald_share(np.zeros((8, 8), bool)) == 0


def test_gaps_between_strands_are_closed_and_patches_are_not():
    hair = np.zeros((128, 128), bool)
    hair[20:100, 20:100] = True
    hair[:, 50] = False
    hair[60:75, 70:85] = False
    assert closed(hair)[50, 50] and not closed(hair)[67, 77]


def test_hair_is_found_without_a_mask():
    image, mask = photo()
    found = hair_mask(image)
    assert (found & (mask > 0)).sum() / (found | (mask > 0)).sum() > 0.5
    assert not hair_mask(np.full((SIZE, SIZE, 3), 200, np.uint8)).any()


def test_the_bare_photograph_has_skin_where_hair_was():
    seen = Photograph.of(*photo())
    assert np.abs(seen.bare[30, 32] - np.array([224, 180, 150]) / 255).max() < 0.05
    assert np.array_equal(seen.bare[2, 2], seen.pixels[2, 2]) and seen.has_hair


# ------------------------------------------------------------------------------------------ render


def test_strands_never_cover_what_is_bald():
    points = np.zeros((2, 9, 3), np.float32)
    points[0, :, 0] = np.linspace(-0.4, 0.4, 9)  # through the middle of the picture
    points[1, :, 0], points[1, :, 1] = 0.05, np.linspace(0.1, 0.5, 9)
    bald = np.zeros((10, 10), bool)
    bald[5, 7:] = True
    kept = kept_off(points, bald)
    assert kept[0, :, 0].max() < 0.2 and kept[0, 0, 0] == pytest.approx(-0.4)
    assert np.array_equal(kept[1], points[1])
    assert len(kept_off(points, np.ones((10, 10), bool))) == 0


def test_a_drawing_has_the_colours_of_the_photograph_and_leaves_the_rest_alone():
    seen, draws = Photograph.of(*photo()), np.random.default_rng(0)
    volume = lift(
        torch.cat(
            [
                torch.full((1, 1, 128, 128), 0.5),
                torch.ones(1, 2, 128, 128),
                torch.full((1, 1, 128, 128), 0.5),
            ],
            1,
        )
    )[0]
    points = strands(seen, volume, seeds(seen, volume, torch.full((128, 128), 0.5), 2000, draws))
    picture, hair = drawn(seen, points, points[:, points.shape[1] // 2, :2], Light())
    assert np.abs(picture[2, 2] - seen.pixels[2, 2]).max() < 1e-5
    assert (hair & seen.hair).sum() / (hair | seen.hair).sum() > 0.8
    inner = cv2.erode(np.uint8(seen.hair), np.ones((9, 9))) > 0
    assert np.abs(picture[inner].mean(0) - seen.pixels[inner].mean(0)).max() < 0.06


def test_a_strand_has_the_colour_of_the_photograph_at_its_seed_and_is_finer_than_a_pixel():
    image = np.full((64, 64, 3), 200, np.uint8)
    hair = np.zeros((64, 64), np.uint8)
    hair[8:56, 8:56] = 255
    image[8:56, 8:32], image[8:56, 32:56] = (40, 30, 20), (150, 110, 60)
    image[8:56, 8:9] = 255  # what is behind, seen through the edge of the hair
    seen = Photograph.of(image, hair)
    height = np.linspace(-0.3, 0.3, 9)
    x = np.linspace(-0.34, 0.34, 300)
    points = np.zeros((300, 9, 3), np.float32)
    points[..., 0], points[..., 1] = x[:, None], height
    picture, found = drawn(seen, points, points[:, 4, :2], Light())
    dark, light = picture[20:44, 9:28].mean(), picture[20:44, 36:55].mean()
    assert found[20:44, 10:54].all() and light > dark + 0.15
    assert np.array_equal(hair_of(seen, points), found)
    alone = reduced(halve(covered(points[150:151], 4 * SIZE)), 4)
    assert 0.05 < alone.max() <= 0.25  # a quarter of a pixel or less is covered


def test_gaps_between_strands_are_hair_underneath_and_not_bald_patches():
    seen = Photograph.of(*photo())
    x = np.linspace(-0.3, 0.3, 300)
    points = np.zeros((300, 9, 3), np.float32)
    points[..., 0], points[..., 1] = x[:, None], np.linspace(-0.35, 0.3, 9)
    parted = points[np.abs(x) > 0.08]  # none in the middle
    picture, hair = drawn(seen, parted, parted[:, 4, :2], Light())
    assert hair[20:40, 28:36].all() and bald_share(hair) < 0.02
    assert np.array_equal(hair_of(seen, parted), hair)
    skin, middle = seen.bare[20:40, 28:36].mean(), picture[20:40, 28:36].mean()
    assert middle < seen.pixels[20:40, 28:36].mean() + 0.05 < skin
    _, patchy = drawn(Photograph.of(*photo(patch=8)), parted, parted[:, 4, :2], Light())
    assert not patchy[28:33, 30:35].any()  # what the photograph shows as bald stays so


def test_lights_of_a_whole_region_are_those_of_the_photograph_and_strands_stay():
    seen = Photograph.of(*photo())
    inner = shrunk(seen.hair)
    lit = seen.pixels.copy()
    lit[20:40, 24:40] = np.clip(lit[20:40, 24:40] + 0.3, 0, 1)  # a bright square
    made = with_light(lit, seen.hair, seen, inner)
    for picture, low, high in ((lit, 0.25, 0.35), (made, 0.0, 0.12)):
        brighter = picture[26:34, 28:36].mean() - seen.pixels[26:34, 28:36].mean()
        assert low <= abs(brighter) <= high
    assert made[26:34, 28:36].std() > 0.7 * seen.pixels[26:34, 28:36].std()
    assert np.allclose(made[~seen.hair], lit[~seen.hair], atol=5e-3)


def test_a_turn_turns_positions_and_directions_about_its_middle():
    turn = Turn(rotation(0, 0, 90), np.array([0.1, 0.0, 0.0]))
    points = np.array([[0.1, 0.0, 0.0], [0.2, 0.0, 0.3]])
    assert np.allclose(turn(points), [[0.1, 0.0, 0.0], [0.1, 0.1, 0.3]])


def test_a_warp_without_a_turn_gives_the_photograph():
    seen = Photograph.of(*photo())
    still = Turn(np.eye(3), np.zeros(3))
    picture, hair = warped(seen, downwards(), still)
    inner = cv2.erode(np.uint8(seen.hair), np.ones((5, 5))) > 0
    assert np.abs(picture - seen.pixels)[inner].max() < 0.02
    assert (hair == seen.hair).mean() > 0.99
    turned, _ = warped(seen, downwards(), Turn(rotation(0, 0, 15), middle_of(seen.hair)))
    assert np.abs(turned - seen.pixels)[inner].mean() > 0.02


# ----------------------------------------------------------------------------------------- samples


@pytest.mark.parametrize("options", [{}, {"render": "warp"}, {"maps_only": False}], ids=str)
def test_samples_name_the_photographs_that_they_come_from(options):
    train = train_set()
    drawn_ = aagan(**options).sample(SampleRequest(1, 3, 7), train)
    assert drawn_.images.shape == (3, 3, SIZE, SIZE) and drawn_.images.dtype == torch.uint8
    assert sorted(drawn_.source_ids) == ["photo3", "photo4", "photo5"]  # of the class, each once
    for source, other, mixed in zip(
        drawn_.source_ids, *(drawn_.attributes[k] for k in ("mixed_with", "weight")), strict=True
    ):
        assert other in ({"photo3", "photo4", "photo5"} - {source} if mixed else {""})
    assert set(drawn_.attributes["made"]) <= {"turned", "mixed", "own", "photograph"}


def test_a_sample_that_ends_early_has_the_first_images_of_a_longer_one():
    train = train_set()
    whole = aagan().sample(SampleRequest(1, 3, 7), train)
    early = aagan().sample(SampleRequest(1, 3, 7, total=2), train)
    assert torch.equal(early.images, whole.images[:2]) and early.source_ids == whole.source_ids[:2]
    assert early.attributes == {name: values[:2] for name, values in whole.attributes.items()}


def test_the_bald_share_is_kept_and_the_change_can_be_forbidden():
    train = train_set()
    notes = aagan().sample(SampleRequest(1, 3, 7), train).attributes
    for before, after in zip(notes["bald_before"], notes["bald_after"], strict=True):
        assert abs(after - before) <= max(0.25 * before, 0.03) + 1e-4


def test_hair_that_always_changes_the_label_gives_the_photograph_itself(monkeypatch):
    made = aagan(mirror=False)
    monkeypatch.setattr(
        "derm_bench_plugins.generators.aagan.hair_of", lambda *_: np.zeros((SIZE, SIZE), bool)
    )
    train = train_set()
    got = made.sample(SampleRequest(0, 1, 0), train)
    row = train.ids.index(got.source_ids[0])
    assert torch.equal(got.images[0], train.images[row]) and got.attributes["made"] == ["photograph"]


def test_a_photograph_without_hair_is_returned():
    train = train_set(masks=False)
    blank = ImageSet(torch.full_like(train.images, 128), train.labels, train.classes, train.ids, train.groups)
    got = aagan().sample(SampleRequest(0, 2, 0), blank)
    assert torch.equal(got.images, blank.images[:2]) and got.attributes["made"] == ["photograph"] * 2


def test_a_mixed_volume_lies_between_those_of_its_photographs():
    made = aagan(maps_only=False)
    one, other = torch.rand(2, 4, 128, 128)
    g = made.network.generator.eval()
    with torch.no_grad():
        expected = g.volume(0.4 * g.latent(other[None]) + 0.6 * g.latent(one[None]))[0]
        assert torch.allclose(made.volume(one, other, 0.4), expected, atol=1e-6)
        assert torch.allclose(made.volume(one, other, 0.0), g(one[None])[0], atol=1e-6)


def test_angles_are_halved_before_the_mix_is_given_up():
    assert plans(True, 0.4) == [
        *[("turned", 0.4, scale) for scale in (1.0, 0.5, 0.25, 0.125)],
        ("mixed", 0.4, 0.0),
        ("own", 0.0, 0.0),
    ]
    assert [name for name, _, _ in plans(False, 0.0)] == ["turned"] * 4 + ["own"]


# ----------------------------------------------------------------------------------------- options


def test_the_networks_are_a_stage_of_their_own_which_rendering_does_not_change():
    plain, warp = (requires(AaganOptions(render=render)) for render in ("strands", "warp"))
    assert plain == warp and plain["volume"].plugin == "hair-volume"
    given = requires(AaganOptions(side=512, volume={"width": 1.0}))
    assert given["volume"].options == {"width": 1.0, "side": 512}
    assert requires(AaganOptions(maps_only=True)) == {}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"mix": (0.7, 0.3)}, "the smaller one first"),
        ({"maps_only": True, "volume": {"width": 1}}, "no network"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, why):
    with pytest.raises(ValidationError, match=why):
        AaganOptions(**options)
