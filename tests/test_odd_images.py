"""Images as cameras, scanners and web sites make them come out with the right colours, and what was done is noted."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from derm_bench.imageio import SUFFIXES, UnreadableImage, damage_is_an_error, decode_image, read_mask
from tests.odd_files import (
    ADOBE_RGB,
    SRGB_LIKE,
    cmyk_profile,
    grey_profile,
    ramp16,
    rgb_profile,
    tiff_of_16_bits,
)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def read(place, image, name="a.png", **how):
    """Saves an image, or bytes, and decodes it: (pixels as int, notes)."""
    if isinstance(image, bytes):
        (place / name).write_bytes(image)
    else:
        image.save(place / name, **how)
    decoded = decode_image(place / name)
    assert decoded.pixels.dtype == np.uint8 and decoded.pixels.shape[2] == 3
    return decoded.pixels.astype(int), decoded.notes


def flat(colour, mode="RGB", side=32):
    return Image.new(mode, (side, side), colour)


def near(pixels, colour, within=3):
    return np.abs(pixels - np.asarray(colour)).max() <= within


# ----------------------------------------------------------------------------------------- profiles


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_colours_of_another_profile_become_srgb(tmp_path, name):
    """Green of Adobe RGB lies outside of sRGB; the mixed colour is paler as it stands than it is meant."""
    expected = ImageCms.profileToProfile(
        flat((180, 90, 80)),
        io.BytesIO(ADOBE_RGB),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    ).getpixel((0, 0))
    assert expected[0] > 195
    pixels, notes = read(tmp_path, flat((180, 90, 80)), name, icc_profile=ADOBE_RGB, quality=95)
    assert near(pixels, expected, 6) and notes == ("a colour profile was converted to sRGB",)


@pytest.mark.parametrize("profile", [SRGB, rgb_profile(SRGB_LIKE, 2.2)], ids=["sRGB", "nearly sRGB"])
def test_an_srgb_profile_changes_no_pixel(tmp_path, profile):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    pixels, notes = read(tmp_path, image, icc_profile=SRGB)
    assert notes == () and (pixels == np.asarray(image)).all()
    pixels, notes = read(tmp_path, image, icc_profile=profile)
    assert (notes == ()) == (profile == SRGB)


def test_greys_have_profiles_too(tmp_path):
    for name, how in (("a.png", {}), ("a.jpg", {"quality": 95})):
        pixels, notes = read(tmp_path, flat(100, "L"), name, icc_profile=grey_profile(1.0), **how)
        assert near(pixels, 168) and notes == ("a colour profile was converted to sRGB",)  # of linear light


def test_a_grey_image_may_have_a_profile_of_colours(tmp_path):
    pixels, notes = read(tmp_path, flat(100, "L"), icc_profile=rgb_profile(SRGB_LIKE, 1.0))
    assert near(pixels, 168) and notes == ("a colour profile was converted to sRGB",)


@pytest.mark.parametrize(
    ("mode", "profile"),
    [("RGB", b"no profile"), ("RGB", ADOBE_RGB[:200]), ("RGB", grey_profile(1.0)), ("L", b"x" * 300)],
)
def test_a_profile_that_cannot_be_used_is_noted_and_left_out(tmp_path, mode, profile):
    colour = (180, 90, 80) if mode == "RGB" else 100
    pixels, notes = read(tmp_path, flat(colour, mode), icc_profile=profile)
    assert near(pixels, colour, 0) and "cannot be used" in notes[0] and len(notes) == 1


def test_the_profile_holds_for_the_colours_of_a_palette_and_below_transparency(tmp_path):
    palette = flat((180, 90, 80)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert read(tmp_path, palette, icc_profile=ADOBE_RGB)[0][0, 0, 0] > 195
    pixels, notes = read(tmp_path, flat((180, 90, 80, 255), "RGBA"), icc_profile=ADOBE_RGB)
    assert pixels[0, 0, 0] > 195 and notes == ("a colour profile was converted to sRGB",)


# --------------------------------------------------------------------------------------------- CMYK


def adobe(content, transform):
    """A CMYK JPEG with another colour transform in its Adobe marker (2: YCCK), whose data fit only a grey image."""
    place = content.index(b"Adobe")
    return content[: place + 11] + bytes([transform]) + content[place + 12 :]


def test_cmyk_of_photoshop_is_not_a_negative(tmp_path):
    """Its JPEGs store inks inverted."""
    pixels, notes = read(tmp_path, flat((0, 128, 128, 0), "CMYK"), "a.jpg", quality=95)
    assert near(pixels, (255, 127, 127), 6) and notes == (
        "CMYK without a colour profile was converted by a plain formula",
    )
    content = (tmp_path / "a.jpg").read_bytes()
    assert b"Adobe" in content
    neutral = io.BytesIO()
    flat((128, 128, 128, 128), "CMYK").save(neutral, "JPEG", quality=95)  # of which all four planes are 128
    assert near(read(tmp_path, adobe(neutral.getvalue(), 2), "b.jpg")[0], (64, 64, 64), 6)


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk_with_a_profile_is_converted_by_it(tmp_path, name):
    """By this profile the first three inks are invisible."""
    pixels, notes = read(tmp_path, flat((200, 100, 50, 0), "CMYK"), name, icc_profile=cmyk_profile())
    assert near(pixels, 255, 4) and notes == ("a colour profile was converted to sRGB",)
    pixels, _ = read(tmp_path, flat((0, 0, 0, 255), "CMYK"), name, icc_profile=cmyk_profile())
    assert near(pixels, 0, 8)


# --------------------------------------------------------------------------------- more than 8 bits


def encoded(samples, suffix):
    """A file that OpenCV writes of samples uint16 [H,W,C], whose channels are equal."""
    done, content = cv2.imencode(suffix, samples)
    assert done
    return content.tobytes()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_samples_of_16_bits_are_scaled_by_what_they_use(tmp_path, suffix, channels, bits):
    pixels, notes = read(tmp_path, encoded(ramp16(channels, 2**bits - 1), suffix), f"a{suffix}")
    assert near(pixels, np.repeat(np.linspace(0, 255, 256).reshape(16, 16, 1), 3, axis=2), 1)
    used = "" if bits == 16 else f" of which {bits} are used"
    assert len(notes) == 1 and notes[0].startswith(f"samples of 16 bits{used} were scaled")


def test_the_channels_of_16_bits_keep_their_order(tmp_path):
    samples = np.zeros((8, 8, 3), np.uint16)
    samples[...] = (4000, 2000, 100)
    for name, content in (
        ("a.png", encoded(samples[..., ::-1].copy(), ".png")),
        ("a.tif", tiff_of_16_bits(samples)),
        ("b.tif", tiff_of_16_bits(samples, byte_order=">")),
    ):
        assert near(read(tmp_path, content, name)[0], (249, 125, 6), 1)


def test_the_largest_value_that_a_tiff_states_is_its_white(tmp_path):
    pixels, notes = read(tmp_path, tiff_of_16_bits(ramp16(3, 800), largest=4095), "a.tif")
    assert pixels.max() == 50 and "0..4095" in notes[0]
    wrong = tiff_of_16_bits(ramp16(3, 60000), largest=4095)
    assert near(read(tmp_path, wrong, "b.tif")[0].max(), 233, 1)


def test_zero_may_be_white(tmp_path):
    pixels, _ = read(tmp_path, tiff_of_16_bits(ramp16(1, 4095), photometric=0), "a.tif")
    assert pixels[0, 0, 0] == 255 and pixels[-1, -1, 0] == 0


@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))])
def test_a_tiff_of_16_bits_is_turned(tmp_path, orientation, corner):
    samples = np.zeros((8, 12, 3), np.uint16)
    samples[0, 0] = 4095
    pixels, notes = read(tmp_path, tiff_of_16_bits(samples, orientation=orientation), "a.tif")
    assert pixels.shape == ((8, 12, 3) if orientation in (1, 3) else (12, 8, 3))
    assert pixels[corner].min() == 255 and pixels.sum() == 3 * 255
    assert ("the image was turned as its EXIF orientation says" in notes) == (orientation != 1)


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_of_16_bits_is_put_on_white(tmp_path, channels):
    samples = np.repeat(ramp16(1, 4095), 4, axis=2)
    samples[..., 3] = 65535
    samples[0, :, 3] = 0
    content = png_of_16_bits(samples[..., ::3]) if channels == 2 else encoded(samples, ".png")
    pixels, notes = read(tmp_path, content)
    assert (pixels[0] == 255).all() and pixels[1, 0, 0] == 16 and pixels[-1, -1, 0] == 255
    assert notes[1:] == ("transparent pixels were put on white",)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_16_bits(samples, colour_type=4, *more):
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    head = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + b"".join(more)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3)])
def test_a_transparent_colour_of_16_bits_is_put_on_white(tmp_path, colour_type, channels):
    samples = ramp16(channels, 4095)
    key = np.repeat(samples[3, 3, :1], channels).astype(">u2").tobytes()
    pixels, notes = read(tmp_path, png_of_16_bits(samples, colour_type, chunk(b"tRNS", key)))
    assert (pixels[3, 3] == 255).all() and pixels[3, 4, 0] < 60
    assert notes[1:] == ("transparent pixels were put on white",)


# ------------------------------------------------------------------- transparency, pages and frames


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_are_white_and_noted(tmp_path, mode):
    image = flat((200, 20, 20, 255), "RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 16, 32))
    pixels, notes = read(tmp_path, image.convert(mode) if mode != "P" else image.quantize(4))
    assert (pixels[:, :16] == 255).all() and pixels[0, 20, 1] < 100
    assert notes == ("transparent pixels were put on white",)


def test_an_alpha_channel_without_transparency_is_not_noted(tmp_path):
    pixels, notes = read(tmp_path, flat((200, 20, 20, 255), "RGBA"))
    assert near(pixels, (200, 20, 20), 0) and notes == ()


def test_half_transparent_pixels_are_mixed_with_white(tmp_path):
    assert near(read(tmp_path, flat((0, 0, 0, 128), "RGBA"))[0], 127, 1)


def test_what_is_transparent_in_a_mask_is_outside(tmp_path):
    mask = Image.new("RGBA", (20, 20), (255, 255, 255, 0))
    mask.paste((255, 255, 255, 255), (0, 0, 5, 20))
    mask.save(tmp_path / "m.png")
    assert (read_mask(tmp_path / "m.png") == 255).sum() == 100


@pytest.mark.parametrize("name", ["a.tif", "a.gif", "a.webp", "a.png", "a.mpo"])
def test_the_first_page_or_frame_is_taken_and_noted(tmp_path, name):
    frames = [flat((200, 20, 20)), flat((20, 200, 20)), flat((20, 20, 200))]
    pixels, notes = read(tmp_path, frames[0], name, save_all=True, append_images=frames[1:])
    assert near(pixels, (200, 20, 20), 12) and notes == ("the first of several pages or frames was taken",)


def test_one_frame_is_not_noted(tmp_path):
    for name in ("a.gif", "a.webp", "a.tif"):
        assert read(tmp_path, flat((200, 20, 20)), name)[1] == ()


# ------------------------------------------------------------------------------- EXIF, modes, files


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied_in_every_format(tmp_path, name, orientation):
    image = flat((20, 20, 20), side=64).crop((0, 0, 64, 32))
    image.paste((240, 240, 240), (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels, notes = read(tmp_path, image, name, exif=exif, quality=95)
    corner = {1: (8, 8), 2: (8, -8), 3: (-8, -8), 4: (-8, 8), 5: (8, 8), 6: (8, -8), 7: (-8, -8), 8: (-8, 8)}
    assert pixels.shape[:2] == ((32, 64) if orientation < 5 else (64, 32))
    assert pixels[corner[orientation]].min() > 200 and pixels.mean() < 80
    assert notes == (("the image was turned as its EXIF orientation says",) if orientation > 1 else ())


@pytest.mark.parametrize("exif", [b"broken beyond repair", b"II*\0\x08\0\0\0\x05\0\x12\x01\x03"])
def test_exif_data_that_cannot_be_read_do_not_cost_the_image(tmp_path, exif):
    with damage_is_an_error():
        pixels, notes = read(tmp_path, flat((200, 20, 20)), "a.jpg", exif=b"Exif\0\0" + exif)
    assert near(pixels, (200, 20, 20), 12) and notes == ()


def test_nor_do_those_at_which_the_parser_gives_up(tmp_path, monkeypatch):
    monkeypatch.setattr(Image.Image, "getexif", lambda _: 1 / 0)
    pixels, notes = read(tmp_path, flat((200, 20, 20)))
    assert near(pixels, (200, 20, 20), 0) and notes == ("EXIF data that cannot be read were left out",)


def test_lab_is_converted(tmp_path):
    lab = ImageCms.applyTransform(
        flat((180, 90, 80)),
        ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"),
    )
    pixels, notes = read(tmp_path, lab, "a.tif")
    assert near(pixels, (180, 90, 80), 4) and notes == ("a colour profile was converted to sRGB",)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_32_bits_are_refused(tmp_path, mode):
    flat(70, mode).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableImage, match="32 bits"):
        decode_image(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.bmp", "a.tif", "a.webp"])
def test_a_cut_file_is_unreadable(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableImage):
        decode_image(tmp_path / name)


@pytest.mark.parametrize("name", ["a.gif", "a.bmp", "a.tif", "a.webp"])
def test_the_number_of_pixels_is_bounded_in_every_format(tmp_path, name):
    flat((9, 9, 9)).save(tmp_path / name)
    with pytest.raises(UnreadableImage, match="32 x 32 pixels, more than 1,000 are not decoded"):
        decode_image(tmp_path / name, max_pixels=1000)


def test_the_suffixes_that_people_have_are_those_of_images():
    assert {".jfif", ".gif", ".webp", ".tif", ".tiff", ".jpg", ".jpeg", ".png", ".bmp"} <= SUFFIXES
