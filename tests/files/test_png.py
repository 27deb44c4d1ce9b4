import struct
import zlib

import cv2
import numpy as np
import PIL.Image
import pytest

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.files import UnreadableFile, read_geometry, read_image, read_mask, write_mask


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def grey_png(bits, rows):
    """A grey PNG of few bits, written by hand; `rows` are bytes already packed."""
    width = 8 // bits * len(rows[0])
    header = struct.pack(">IIBBBBB", width, len(rows), bits, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize(
    ("bits", "expected"),
    [(1, [0, 0, 0, 1, 1, 0, 1, 1]), (2, [0, 1, 2, 3]), (4, [1, 11])],
)
def test_few_bits_keep_their_values(read, bits, expected, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(grey_png(bits, [[0b00011011]]))
    assert read(path).pixels.tolist() == [[expected]]


def test_palette_is_colour_to_the_eye_and_index_as_mask(tmp_path):
    picture = PIL.Image.fromarray(np.array([[5, 9], [2, 5]], np.uint8))
    colours = np.zeros((256, 3), np.uint8)
    colours[[9, 2]] = (255, 0, 0), (0, 255, 0)
    picture.putpalette(colours.tobytes())
    picture.save(tmp_path / "m.png", transparency=5)
    assert read_mask(tmp_path / "m.png").pixels.tolist() == [[[5, 9], [2, 5]]]
    red, green, blue = read_image(tmp_path / "m.png").pixels
    assert red.tolist() == [[0, 255], [0, 0]]
    assert green.tolist() == [[0, 0], [255, 0]]
    assert not blue.any()


def test_mask_is_a_palette_of_the_labels_colours(tmp_path):
    labels = LabelSet((Label("polyp", 1, colour="#ff8000"), Label("void", 3, "ignore", "#0000ff")))
    classes = np.array([[0, 1], [3, 0]], np.uint8)
    write_mask(Segmentation(classes, labels, Geometry.in_pixels((2, 2))), tmp_path / "m.png")
    with PIL.Image.open(tmp_path / "m.png") as picture:
        assert picture.mode == "P"
        assert np.asarray(picture).tolist() == classes.tolist()
        seen = np.asarray(picture.convert("RGB"))
    assert seen[0, 1].tolist() == [255, 128, 0]
    assert seen[1, 0].tolist() == [0, 0, 255]
    assert (tmp_path / "m.png").read_bytes()[24] == 8


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("mode", ["grey", "rgb", "rgba"])
def test_alpha_is_dropped_and_depth_kept(dtype, mode, tmp_path):
    top = np.iinfo(dtype).max
    rgba = np.random.default_rng(0).integers(0, top, (6, 5, 4), dtype=dtype)
    stored = {"grey": rgba[..., 0], "rgb": rgba[..., 2::-1], "rgba": rgba[..., [2, 1, 0, 3]]}[mode]
    cv2.imwrite(str(tmp_path / "a.png"), stored)
    expected = rgba[..., :1] if mode == "grey" else rgba[..., :3]
    found = read_image(tmp_path / "a.png").pixels
    assert found.dtype == dtype
    np.testing.assert_array_equal(np.moveaxis(found, 0, -1), expected)


def test_grey_with_alpha_is_grey(tmp_path):
    stored = np.random.default_rng(0).integers(0, 255, (6, 5, 2), dtype=np.uint8)
    PIL.Image.fromarray(stored, "LA").save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, stored[None, ..., 0])


def test_a_transparent_colour_changes_nothing(tmp_path):
    stored = np.random.default_rng(0).integers(0, 9, (6, 5), dtype=np.uint8)
    PIL.Image.fromarray(stored).save(tmp_path / "a.png", transparency=3)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png").pixels, stored[None])


def test_20000_squared_passes_and_100000_squared_does_not(tmp_path):
    path = tmp_path / "a.png"
    for side, fits in ((20_000, True), (100_000, False)):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        packed = chunk(b"IDAT", bytes(3 * side * side // 1000))
        start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
        path.write_bytes(start + packed + chunk(b"IEND", b""))
        if fits:
            assert read_geometry(path).shape == (side, side)
        else:
            with pytest.raises(UnreadableFile, match="100000 x 100000 samples"):
                read_image(path)


def parts(path):
    """The chunks of a PNG."""
    data, at, found = path.read_bytes(), 8, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def assembled(path, chunks):
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in chunks))


def picture(kind):
    values = np.random.default_rng(0).integers(0, 2, (20, 30), dtype=np.uint8)
    if kind == "palette":
        found = PIL.Image.fromarray(values)
        found.putpalette([0, 0, 0, 255, 0, 0])
        return found
    return PIL.Image.fromarray(values * 255).convert({"bits": "1", "grey": "L", "rgb": "RGB"}[kind])


KINDS = ["palette", "bits", "grey", "rgb"]


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damaged", [b"IHDR", b"PLTE", b"IDAT"])
def test_a_wrong_checksum_is_refused(read, kind, damaged, tmp_path):
    path = tmp_path / "a.png"
    picture(kind).save(path)
    if damaged == b"PLTE" and kind != "palette":
        return
    data = bytearray(path.read_bytes())
    data[data.index(damaged) + 4] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UnreadableFile, match="checksum"):
        read(path)


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", ["short", "long", "no adler", "wrong adler"])
def test_samples_that_are_not_all_there_are_refused(read, kind, change, tmp_path):
    """The checksums of the chunks are right: whoever wrote them did so with these samples."""
    path = tmp_path / "a.png"
    picture(kind).save(path)
    chunks = parts(path)
    samples = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    packed = zlib.compress(samples)
    changed = {
        "short": zlib.compress(samples[: len(samples) // 2]),
        "long": zlib.compress(samples + bytes(100)),
        "no adler": packed[:-4],
        "wrong adler": packed[:-4] + bytes(4),
    }[change]
    assembled(path, [(name, changed if name == b"IDAT" else body) for name, body in chunks])
    if kind in ("grey", "rgb") and change == "long":
        read(path)  # libpng has all samples, and warns of the rest
        return
    with pytest.raises(UnreadableFile):
        read(path)


def test_the_checksum_of_what_decides_nothing_is_not_asked(tmp_path):
    path = tmp_path / "a.png"
    picture("grey").save(path, dpi=(72, 72))
    before = read_mask(path).pixels
    data = bytearray(path.read_bytes())
    data[data.index(b"pHYs") + 4] ^= 1
    path.write_bytes(bytes(data))
    np.testing.assert_array_equal(read_mask(path).pixels, before)


def test_several_frames_are_refused(tmp_path):
    frames = [PIL.Image.new("RGB", (4, 4), colour) for colour in ("red", "green")]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableFile, match="several frames"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (16, 17), (33, 40)])
def test_palettes_of_few_bits(bits, shape, tmp_path):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**bits, shape, dtype=np.uint8)
    found = PIL.Image.fromarray(values)
    found.putpalette(rng.integers(0, 255, 3 * 2**bits, dtype=np.uint8).tobytes())
    found.save(tmp_path / "a.png", bits=bits)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png").pixels[0], values)
    seen = np.moveaxis(read_image(tmp_path / "a.png").pixels, 0, -1)
    np.testing.assert_array_equal(seen, np.asarray(found.convert("RGB")))


def test_an_eighth_turn_in_exif_is_taken(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    picture("grey").save(tmp_path / "a.png", exif=exif)
    assert read_image(tmp_path / "a.png").geometry.shape == (30, 20)


ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (9, 7)])
def test_interlaced_palettes(shape, tmp_path):
    values = np.random.default_rng(0).integers(0, 3, shape, dtype=np.uint8)
    lines = b""
    for row, column, down, right in ADAM7:
        part = values[row::down, column::right]
        lines += b"".join(b"\0" + line.tobytes() for line in part if line.size)
    header = struct.pack(">IIBBBBB", *shape[::-1], 8, 3, 0, 0, 1)
    chunks = [
        (b"IHDR", header),
        (b"PLTE", bytes(9)),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    ]
    assembled(tmp_path / "a.png", chunks)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png").pixels[0], values)
