"""The header of a JPEG is the same from its segments as from Pillow; other files are read by Pillow."""

import io

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from derm_bench import image_header
from derm_bench.image_header import jpeg_start, read_header

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8))


@pytest.mark.parametrize("quality", [5, 60, 90, 100])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "how", [{}, {"progressive": True}, {"icc_profile": b"x" * 70_000}, {"comment": b"a" * 300}]
)
def test_a_jpeg_is_read_as_pillow_reads_it(tmp_path, monkeypatch, quality, mode, how):
    path = tmp_path / "a.jpg"
    NOISE.convert(mode).save(path, "JPEG", quality=quality, **how)
    quick = read_header(path)
    monkeypatch.setattr(image_header, "jpeg_start", lambda start, size: None)
    assert quick == read_header(path)
    assert quick[:4] == ("JPEG", 50, 37, path.stat().st_size) and quick.quality > 0


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".gif", ".tif", ".webp"])
def test_other_files_are_read_by_pillow(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    NOISE.save(path)
    assert read_header(path)[1:3] == (50, 37)


def test_a_cut_or_false_jpeg_has_no_header_or_that_of_its_start(tmp_path):
    path = tmp_path / "a.jpg"
    NOISE.save(path, "JPEG")
    whole = path.read_bytes()
    for cut in range(0, len(whole), 41):
        path.write_bytes(whole[:cut])
        found = read_header(path)
        assert found is None or found[:3] == ("JPEG", 50, 37)
    path.write_bytes(b"\xff\xd8" + b"\xff\xdb\x00\x00" * 50)
    assert read_header(path) is None


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


ADOBE = [segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform])) for transform in (0, 1)]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("extra", [b"", *ADOBE, segment(0xE1, b"Exif\0\0")])
@pytest.mark.parametrize("jfif", [True, False])
def test_colours_are_those_that_libjpeg_finds_or_left_to_it(mode, extra, jfif):
    file = io.BytesIO()
    NOISE.convert(mode).save(file, "JPEG")
    data = file.getvalue()
    if data[2:4] == b"\xff\xe0":
        end = 4 + int.from_bytes(data[4:6], "big")
        data = data[: end if jfif else 2] + extra + data[end:]
    else:
        data = data[:2] + extra + data[2:]
    start = jpeg_start(data, len(data))
    assert start.colours in (simplejpeg.decode_jpeg_header(data)[2], None)
    assert (start.colours is None) == (mode == "CMYK" or (mode == "RGB" and not jfif))
    assert start.tagged == (bool(extra) or mode == "CMYK")


def test_files_that_are_equal_up_to_their_pixels_keep_their_own_sizes():
    files = []
    for grey in (40, 200):
        file = io.BytesIO()
        image = Image.fromarray(np.full((37, 50, 3), grey, np.uint8))
        image.paste(NOISE.crop((0, 0, grey // 8, 20)))
        image.save(file, "JPEG")
        files.append(file.getvalue())
    first, second = (jpeg_start(data, len(data)) for data in files)
    assert files[0][: first.length] == files[1][: second.length], "they are looked up"
    assert [one.header.bytes for one in (first, second)] == list(map(len, files))
    assert first._replace(header=None) == second._replace(header=None)


@pytest.mark.parametrize("before", [0, 3000])
def test_a_thumbnail_in_the_metadata_is_not_taken_for_the_pixels(before):
    file, small = io.BytesIO(), io.BytesIO()
    NOISE.save(file, "JPEG")
    NOISE.resize((8, 8)).save(small, "JPEG")
    data = file.getvalue()
    plain = jpeg_start(data, len(data))
    exif = segment(0xE1, b"Exif\0\0" + bytes(before) + small.getvalue())
    for place in (2, plain.length):
        found = jpeg_start(data[:place] + exif + data[place:], len(data))
        assert found == plain._replace(length=plain.length + len(exif), tagged=True)
