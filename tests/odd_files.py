"""Image files that no library here writes: TIFF of 16-bit colours, and colour profiles other than sRGB."""

import struct

import numpy as np


def _fixed(value):
    return round(value * 65536)


def tiff_of_16_bits(samples, *, orientation=1, byte_order="<", photometric=None, largest=None):
    """An uncompressed TIFF of samples [H,W,C], C = 1 (grey) or 3 (RGB)."""
    height, width, channels = samples.shape
    data = samples.astype(f"{byte_order}u2").tobytes()
    photometric = (2 if channels == 3 else 1) if photometric is None else photometric
    tags = {
        256: ("I", [width]), 257: ("I", [height]), 258: ("H", [16] * channels), 259: ("H", [1]),
        262: ("H", [photometric]), 273: ("I", [0]), 274: ("H", [orientation]), 277: ("H", [channels]),
        278: ("I", [height]), 279: ("I", [len(data)]), 284: ("H", [1]),
    }  # fmt: skip
    if largest is not None:
        tags[281] = ("H", [largest] * channels)
    after = 8 + 2 + 12 * len(tags) + 4
    long = {tag: value for tag, value in tags.items() if struct.calcsize(value[0]) * len(value[1]) > 4}
    place = after + sum(struct.calcsize(code) * len(values) for code, values in long.values())
    tags[273] = ("I", [place])
    entries, blob = b"", b""
    for tag, (code, values) in sorted(tags.items()):
        raw = struct.pack(f"{byte_order}{len(values)}{code}", *values)
        if tag in long:
            raw, blob = struct.pack(f"{byte_order}I", after + len(blob)), blob + raw
        kind = 3 if code == "H" else 4
        entries += struct.pack(f"{byte_order}HHI", tag, kind, len(values)) + raw.ljust(4, b"\0")
    head = (b"II*\0" if byte_order == "<" else b"MM\0*") + struct.pack(f"{byte_order}IH", 8, len(tags))
    return head + entries + bytes(4) + blob + data


def profile(space=b"RGB ", tags=(), pcs=b"XYZ "):
    """An ICC profile of version 2 with these tags {name: content}."""
    table, blob = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in dict(tags).items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(blob), len(content))
        blob += content
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    head = struct.pack(">I4s4s", start + len(blob), b"lcms", b"\x02\x40\0\0") + kind + space + pcs
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", *map(_fixed, (0.9642, 1.0, 0.8249)))
    return head.ljust(128, b"\0") + table + blob


def rgb_profile(primaries, gamma):
    """A display whose primaries have these XYZ values (of D50), and a curve of `gamma`."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
    colours = {
        name: b"XYZ " + bytes(4) + struct.pack(">3i", *map(_fixed, xyz))
        for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
    }
    white = b"XYZ " + bytes(4) + struct.pack(">3i", *map(_fixed, (0.9642, 1.0, 0.8249)))
    return profile(tags={b"wtpt": white, **colours, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)})


ADOBE_RGB = rgb_profile(
    ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)), 2.2
)
SRGB_LIKE = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))


def grey_profile(gamma):
    return profile(b"GRAY", {b"kTRC": b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))})


def cmyk_profile():
    """Inks of which black alone darkens, from a lightness of 100 to 0; the other three do nothing."""
    identity = struct.pack(">9i", *map(_fixed, (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    ramp = bytes(range(256))
    corners = b"".join(bytes([0 if k % 2 else 255, 128, 128]) for k in range(16))  # black varies fastest
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + 4 * ramp + corners + 3 * ramp
    return profile(b"CMYK", dict.fromkeys((b"A2B0", b"A2B1"), table), pcs=b"Lab ")


def ramp16(channels, top, side=16):
    """uint16 [side,side,channels]: equal channels that rise from 0 to `top`."""
    grey = np.linspace(0, top, side * side).round().astype(np.uint16).reshape(side, side, 1)
    return np.repeat(grey, channels, axis=2)
