"""Reading images: odd but valid files come out right, hostile ones are refused before they cost anything."""

import contextlib
import hashlib
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from derm_bench import imageio
from derm_bench.imageio import (
    UnreadableImage,
    damage_is_an_error,
    inside,
    read_image,
    read_image_and_digest,
    read_mask,
)


@pytest.fixture
def colours():
    """[40,60,3]: red left, green right, a blue stripe on top."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = (200, 20, 20)
    pixels[:, 30:] = (20, 200, 20)
    pixels[:8] = (20, 20, 200)
    return pixels


def png_header(width, height):
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "jpg"])
def test_every_format_gives_rgb(tmp_path, colours, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(colours).save(path, quality=95)
    read = read_image(path)
    assert read.shape == (40, 60, 3) and read.dtype == np.uint8
    assert abs(read[30, 10].astype(int) - colours[30, 10]).max() < 12


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK"])
def test_every_mode_gives_rgb(tmp_path, colours, mode):
    path = tmp_path / "a.tiff"
    Image.fromarray(colours).convert(mode).save(path)
    assert read_image(path).shape == (40, 60, 3)


def test_what_is_transparent_is_white(tmp_path):
    rgba = np.zeros((4, 4, 4), np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == 255).all()


def test_sixteen_bits_are_scaled_and_not_cut(tmp_path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read.min() == 0 and read.max() == 255 and np.all(np.diff(read[..., 0].ravel().astype(int)) >= 0)


def test_orientation_is_applied(tmp_path, colours):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    Image.fromarray(colours).save(tmp_path / "a.jpg", exif=exif, quality=95)
    read = read_image(tmp_path / "a.jpg")
    assert read.shape == (60, 40, 3)
    assert read[30, -3, 2] > 150  # the stripe on top is now on the right


@pytest.mark.parametrize("said_by", ["late exif", "xmp"])
def test_orientation_is_applied_wherever_a_jpeg_says_it(tmp_path, colours, said_by):
    """Behind a long colour profile, or in XMP alone."""
    path, more = tmp_path / "a.jpg", {}
    if said_by == "xmp":
        more["xmp"] = b'<rdf:Description tiff:Orientation="6"/>'
    Image.fromarray(colours).save(path, quality=95, **more)
    if said_by == "late exif":
        exif = Image.Exif()
        exif[0x0112] = 6
        app1 = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
        app13 = b"\xff\xed" + struct.pack(">H", 60002) + bytes(60000)
        content = path.read_bytes()
        path.write_bytes(
            content[:2] + 2 * app13 + b"\xff\xe1" + struct.pack(">H", len(app1) + 2) + app1 + content[2:]
        )
    read = read_image(path)
    assert read.shape == (60, 40, 3)
    assert read[30, -3, 2] > 150


def test_a_jpeg_may_be_decoded_smaller_but_not_below_what_is_needed(tmp_path):
    Image.fromarray(np.full((450, 600, 3), 90, np.uint8)).save(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg", at_least=128).shape == (225, 300, 3)
    assert read_image(tmp_path / "a.jpg").shape == (450, 600, 3)


def test_a_bomb_is_refused_by_its_header(tmp_path):
    path = tmp_path / "bomb.png"
    for side in (9000, 60000):
        path.write_bytes(png_header(side, side))
        with pytest.raises(UnreadableImage, match="pixels"):
            read_image(path)


def test_broken_files_have_reasons(tmp_path, colours):
    whole = tmp_path / "whole.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(whole)
    cases = {
        "cut.jpg": (whole.read_bytes()[:4000], "truncated"),
        "text.jpg": (b"not an image at all", "not an image"),
        "empty.png": (b"", "not an image"),
        "short.png": (png_header(50, 50), "truncated|decoded"),
    }
    for name, (content, reason) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableImage, match=reason):
            read_image(tmp_path / name)
    with pytest.raises(UnreadableImage, match="no such file"):
        read_image(tmp_path / "nothing.png")
    with pytest.raises(UnreadableImage, match="regular"):
        read_image(tmp_path)


def test_formats_outside_the_list_are_refused(tmp_path, colours):
    Image.fromarray(colours).save(tmp_path / "a.tga")
    with pytest.raises(UnreadableImage, match="not an image in one of"):
        read_image(tmp_path / "a.tga")


def test_links_out_of_the_root_are_refused(tmp_path, colours):
    root = tmp_path / "root"
    root.mkdir()
    Image.fromarray(colours).save(tmp_path / "outside.png")
    Image.fromarray(colours).save(root / "own.png")
    (root / "out.png").symlink_to(tmp_path / "outside.png")
    (root / "in.png").symlink_to(root / "own.png")
    assert read_image(root / "in.png", root=root).shape == (40, 60, 3)
    with pytest.raises(UnreadableImage, match="out of"):
        read_image(root / "out.png", root=root)
    with pytest.raises(UnreadableImage):
        inside(root, root / ".." / "outside.png")


@pytest.mark.parametrize("high", [1, 255])
def test_masks_of_zeros_and_ones_or_255_are_the_same(tmp_path, high):
    mask = np.zeros((10, 10), np.uint8)
    mask[2:5] = high
    Image.fromarray(mask).save(tmp_path / "m.png")
    read = read_mask(tmp_path / "m.png")
    assert set(np.unique(read)) == {0, 255} and (read == 255).sum() == 30


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("at_least", [None, 64])
def test_a_jpeg_is_what_pillow_makes_of_it(tmp_path, mode, options, at_least):
    ramp = np.linspace(0, 255, 450 * 600).reshape(450, 600)
    pixels = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], 2).astype(np.uint8)
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels).convert(mode).save(path, quality=90, **options)
    with Image.open(path) as image:
        if at_least:
            image.draft(None, (at_least, at_least))
        expected = np.asarray(image.convert("RGB")).astype(int)
    read = read_image(path, at_least=at_least)
    assert read.shape == expected.shape and abs(read - expected).max() <= 3


def test_a_jpeg_of_too_many_pixels_is_refused(tmp_path):
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "a.jpg")
    with pytest.raises(UnreadableImage, match="60 x 40 pixels, more than 1,000"):
        read_image(tmp_path / "a.jpg", max_pixels=1000)


def smooth(side=160):
    """A JPEG of a smooth image, whose scan begins after its headers."""
    ramp = np.linspace(0, 255, side)
    pixels = np.stack([ramp[:, None] + 0 * ramp, 0 * ramp[:, None] + ramp, (ramp[:, None] + ramp) / 2], -1)
    return Image.fromarray(pixels.astype(np.uint8))


def damaged(path, mode="RGB", suffix=".jpg", **how):
    """Saves a JPEG and zeroes bytes in the middle of its scan."""
    smooth().convert(mode).save(path, "JPEG", quality=95, **how)
    content = bytearray(path.read_bytes())
    middle = (content.rindex(b"\xff\xda") + len(content)) // 2
    content[middle : middle + 40] = b"\xff\xd3" + bytes(38)
    path.write_bytes(content)
    return path


def test_a_jpeg_about_which_the_decoder_warns_is_unreadable(tmp_path):
    with pytest.raises(UnreadableImage, match="the file is damaged"):
        read_image(damaged(tmp_path / "a.jpg"))


def test_it_is_also_if_pillow_decodes_it(tmp_path, colours):
    """Pillow passes over libjpeg's warnings; it decodes images that may be rotated, CMYK, and masks."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in (
        damaged(tmp_path / "turned.jpg", exif=exif),
        damaged(tmp_path / "cmyk.jpg", mode="CMYK"),
        damaged(tmp_path / "named.png"),
        damaged(tmp_path / "turned.webp", exif=exif, progressive=True),
    ):
        with pytest.raises(UnreadableImage, match="the file is damaged"):
            read_image(path)
    with pytest.raises(UnreadableImage, match="the file is damaged"):
        read_mask(damaged(tmp_path / "mask.jpg", mode="L"))


def test_most_flipped_bytes_in_a_jpeg_are_found(tmp_path):
    """Not all: the rest of the data may happen to be a valid JPEG of another image, at which no decoder warns."""
    rng, path = np.random.default_rng(0), tmp_path / "a.jpg"
    noisy = rng.normal(0, 20, (160, 160, 3)) + np.asarray(smooth())
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    whole, good = path.read_bytes(), read_image(path).astype(int)
    passed = 0
    for _ in range(60):
        content = bytearray(whole)
        for place in rng.integers(whole.rindex(b"\xff\xda") + 20, len(whole) - 2, 10):
            content[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        with contextlib.suppress(UnreadableImage):
            passed += np.abs(read_image(path) - good).mean() > 10
    assert passed <= 20


def test_a_warning_of_pillow_about_damage_makes_an_image_unreadable(tmp_path, colours, monkeypatch):
    Image.fromarray(colours).save(tmp_path / "a.tiff")
    load = TiffImagePlugin.TiffImageFile.load

    def warned(self):
        scope = {"__name__": "PIL.TiffImagePlugin"}
        exec("import warnings; warnings.warn('Truncated File Read')", scope)
        return load(self)

    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "load", warned)
    with damage_is_an_error(), pytest.raises(UnreadableImage, match="truncated"):
        read_image(tmp_path / "a.tiff")


def test_the_digest_is_that_of_the_content_that_was_decoded(tmp_path, colours):
    for name in ("a.png", "a.jpg"):
        Image.fromarray(colours).save(tmp_path / name)
        content = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        assert read_image_and_digest(tmp_path / name)[1] == content
    (tmp_path / "b.png").write_bytes(b"nothing")
    with pytest.raises(UnreadableImage) as refused:
        read_image(tmp_path / "b.png")
    assert refused.value.digest == hashlib.sha256(b"nothing").hexdigest()


def test_only_regular_files_of_bounded_size_are_opened(tmp_path, colours, monkeypatch):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "zero.png"):
        with pytest.raises(UnreadableImage, match="not a regular file"):
            read_image(tmp_path / name)
    Image.fromarray(colours).save(tmp_path / "a.png")
    monkeypatch.setattr(imageio, "MAX_BYTES", 10)
    with pytest.raises(UnreadableImage, match="more than"):
        read_image(tmp_path / "a.png")


def test_a_large_file_is_read_from_disk(tmp_path, colours, monkeypatch):
    Image.fromarray(colours).save(tmp_path / "a.png")
    whole = read_image_and_digest(tmp_path / "a.png")
    monkeypatch.setattr(imageio, "_QUICK_BYTES", 10)
    read = read_image_and_digest(tmp_path / "a.png")
    assert (read[0] == whole[0]).all() and read[1] == whole[1]
