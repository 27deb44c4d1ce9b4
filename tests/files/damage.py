"""Read damaged files, in a process of its own: `damage.py FORMAT,FORMAT MUTANTS SEED FOLDER`.

Each mutant is read as an image and as a mask. The last line printed is JSON: per example how many mutants were
refused, read equal and read different, and each mutant that breaks the contract. A crash or a hang ends the
process; the file `mutant` in FOLDER then is what did it.
"""

import bz2
import faulthandler
import gzip
import io
import json
import re
import resource
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

MEMORY = 3 << 30
SECONDS = 20
"""What a mutant may take."""


@dataclass(frozen=True)
class Example:
    """One whole file, and the first byte from which a checksum covers it; None where none does."""

    name: str
    data: bytes
    checked: int | None = None


def smooth(shape, top):
    """Blobs: neither noise, which nothing compresses, nor flat, where damage would not show."""
    grids = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    wave = sum(np.sin(grid / (3 + i)) for i, grid in enumerate(grids))
    noise = np.random.default_rng(0).normal(0, 0.1, shape)
    scaled = (wave + noise - (wave + noise).min()) / np.ptp(wave + noise)
    return np.rint(scaled * top)


def pictures():
    import PIL.Image

    grey = PIL.Image.fromarray(smooth((48, 40), 255).astype(np.uint8))
    rgb = PIL.Image.merge("RGB", [grey, grey.rotate(180), grey.transpose(0)])
    palette = PIL.Image.fromarray(smooth((48, 40), 5).astype(np.uint8))
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9, 7, 7, 7])
    return {"grey": grey, "rgb": rgb, "palette": palette, "bits": grey.convert("1")}


def saved(picture, form, **options):
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def of_pillow(form, modes, checked=None, **options):
    return [Example(mode, saved(pictures()[mode], form, **options), checked) for mode in modes]


def png():
    import cv2

    deep = cv2.imencode(".png", smooth((48, 40), 60000).astype(np.uint16))[1].tobytes()
    plain = of_pillow("PNG", ("grey", "rgb", "palette", "bits"), checked=0)
    return [*plain, Example("16 bits", deep, 0)]


def jpeg():
    cmyk = saved(pictures()["rgb"].convert("CMYK"), "JPEG")
    progressive = saved(pictures()["rgb"], "JPEG", progressive=True)
    return [
        *of_pillow("JPEG", ("grey", "rgb")),
        Example("cmyk", cmyk),
        Example("progressive", progressive),
    ]


def jpeg2000():
    import cv2

    deep = cv2.imencode(".jp2", smooth((48, 40), 60000).astype(np.uint16))[1].tobytes()
    return [*of_pillow("JPEG2000", ("grey", "rgb")), Example("16 bits", deep)]


def tiff():
    import tifffile

    def stored(pixels, **options):
        stream = io.BytesIO()
        tifffile.imwrite(stream, pixels, **options)
        return stream.getvalue()

    rgb = np.asarray(pictures()["rgb"])
    stack = smooth((5, 24, 20), 60000).astype(np.uint16)
    found = [
        Example("raw", stored(stack)),
        Example("deflate", stored(stack, compression="zlib", predictor=True)),
        Example("tiled", stored(rgb, compression="zlib", tile=(16, 16), photometric="rgb")),
        Example("ome", stored(stack, ome=True)),
    ]
    for name in ("tiff_lzw", "packbits", "jpeg", "tiff_adobe_deflate"):
        found += [Example(name, saved(pictures()["rgb"], "TIFF", compression=name))]
    return [*found, Example("group4", saved(pictures()["bits"], "TIFF", compression="group4"))]


def webp():
    rgb = pictures()["rgb"]
    return [
        Example(kind, saved(rgb, "WEBP", lossless=lossless))
        for kind, lossless in (("lossy", False), ("lossless", True))
    ]


def nifti():
    import nibabel

    found = []
    for name, dtype in (("labels", np.uint8), ("scan", np.int16)):
        pixels = smooth((14, 12, 10), 5 if dtype is np.uint8 else 3000).astype(dtype)
        plain = nibabel.Nifti1Image(pixels, np.diag([1.0, 2, 3, 1])).to_bytes()
        found += [Example(f"{name} gzip", gzip.compress(plain, mtime=0), 0), Example(name, plain)]
    return found


def nrrd():
    samples = smooth((10, 12, 14), 3000).astype("<i2").tobytes()
    head = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 14 12 10\n"
        "space directions: (1,0,0) (0,2,0) (0,0,3)\nkinds: domain domain domain\nendian: little\n"
        "encoding: {}\nspace origin: (1,2,3)\n\n"
    )
    packed = {
        "raw": samples,
        "gzip": gzip.compress(samples, mtime=0),
        "bzip2": bz2.compress(samples),
        "ascii": " ".join(str(n) for n in np.frombuffer(samples, "<i2")).encode(),
    }
    starts = {name: head.format(name).encode() for name in packed}
    return [
        Example(name, starts[name] + data, len(starts[name]) if name in ("gzip", "bzip2") else None)
        for name, data in packed.items()
    ]


def metaimage():
    samples = smooth((10, 12, 14), 3000).astype("<i2").tobytes()
    found = []
    for name, data in (("raw", samples), ("zlib", zlib.compress(samples))):
        size = f"CompressedDataSize = {len(data)}\n" if name == "zlib" else ""
        head = (
            "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
            f"CompressedData = {name == 'zlib'}\n{size}TransformMatrix = 1 0 0 0 1 0 0 0 1\n"
            "Offset = 1 2 3\nElementSpacing = 1 2 3\nDimSize = 14 12 10\nElementType = MET_SHORT\n"
            "ElementDataFile = LOCAL\n"
        ).encode()
        found.append(Example(name, head + data, len(head) if size else None))
    return found


def dicom():
    """A slice in the transfer syntaxes whose structure differs, and one in colour."""
    from pydicom.uid import (
        DeflatedExplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        JPEG2000Lossless,
        JPEGLSLossless,
        RLELossless,
    )

    from conftest import dicom_slice

    def stored(syntax, pixels):
        stream = io.BytesIO()
        dicom_slice(pixels, syntax).save_as(stream, enforce_file_format=True)
        return stream.getvalue()

    deep = smooth((48, 40), 3000).astype(np.uint16)
    rgb = np.asarray(pictures()["rgb"])
    return [
        Example("explicit", stored(ExplicitVRLittleEndian, deep)),
        Example("implicit", stored(ImplicitVRLittleEndian, deep)),
        Example("deflated", stored(DeflatedExplicitVRLittleEndian, deep)),
        Example("rle", stored(RLELossless, deep)),
        Example("jpeg 2000", stored(JPEG2000Lossless, deep)),
        Example("jpeg-ls", stored(JPEGLSLossless, deep)),
        Example("rgb", stored(ExplicitVRLittleEndian, rgb)),
    ]


EXAMPLES = {
    "bmp": partial(of_pillow, "BMP", ("grey", "rgb", "palette")),
    "dicom": dicom,
    "gif": partial(of_pillow, "GIF", ("grey", "palette")),
    "jpeg": jpeg,
    "jpeg2000": jpeg2000,
    "metaimage": metaimage,
    "nifti": nifti,
    "nrrd": nrrd,
    "png": png,
    "tiff": tiff,
    "webp": webp,
}


def mutant(data, rng):
    """The name of one kind of damage, the first byte it touches, and the damaged bytes."""
    kind = rng.choice(
        ["bit", "bit", "byte", "byte", "short", "short", "zeroed", "doubled", "lost", "field"]
    )
    at = int(rng.integers(len(data)))
    length = int(rng.integers(1, max(2, min(200, len(data) // 8))))
    end = min(at + length, len(data))
    if kind == "bit":
        changed = bytes([data[at] ^ (1 << int(rng.integers(8)))])
        return kind, at, data[:at] + changed + data[at + 1 :]
    if kind == "byte":
        return kind, at, data[:at] + bytes([int(rng.integers(256))]) + data[at + 1 :]
    if kind == "short":
        return kind, at, data[:at]
    if kind == "zeroed":
        return kind, at, data[:at] + bytes(end - at) + data[end:]
    if kind == "doubled":
        return kind, at, data[:end] + data[at:end] + data[end:]
    if kind == "lost":
        return kind, at, data[:at] + data[end:]
    return _field(data, rng)


def _field(data, rng):
    """A number of the header replaced by an odd one: in words, or in one to eight bytes."""
    start = data[:400]
    words = list(re.finditer(rb"-?\d+(\.\d+)?", start))
    if re.match(rb"NRRD|ObjectType", start) and rng.random() < 0.8:
        word = words[int(rng.integers(len(words)))]
        odd = rng.choice([b"0", b"-1", b"1", b"7", b"65536", b"4294967297", b"1e300", b"nan", b"x"])
        return "field", word.start(), data[: word.start()] + bytes(odd) + data[word.end() :]
    at = int(rng.integers(len(start)))
    odd = [0, 1, 2, 255, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FF8000000000000]
    value = odd[int(rng.integers(len(odd)))]
    size = int(rng.choice([n for n in (1, 2, 4, 8) if value < 256**n]))
    order = "little" if rng.random() < 0.5 else "big"
    changed = (data[:at] + value.to_bytes(size, order) + data[at + size :])[: len(data)]
    return "field", at, changed


def read(path, reader):
    """The image; or in words, why there is none."""
    from delineate.files import UnreadableFile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return reader(path), ""
    except UnreadableFile as error:
        return None, "" if str(error).startswith(f"{path}: ") else f"no path in {error}"
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def examples(name):
    """Of a format that is not among `EXAMPLES`, what it writes."""
    if name in EXAMPLES:
        return EXAMPLES[name]()
    from delineate.core import Geometry, Image
    from delineate.resolve import resolve

    form = resolve("formats", name)
    if form.write is None:
        raise SystemExit(f"No whole file of the format {name} is known: add one to EXAMPLES.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{form.suffixes[0]}"
        pixels = smooth((48, 40), 255).astype(np.uint8)[None]
        form.write(Image(pixels, Geometry.in_pixels((48, 40))), path)
        return [Example("written", path.read_bytes())]


def main(names, mutants, seed, folder):
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    from delineate.files import read_image, read_mask

    readers = {"image": read_image, "mask": read_mask}
    path = folder / "mutant"
    counts, broken = {}, []
    for example in [example for name in names for example in examples(name)]:
        path.write_bytes(example.data)
        whole = {what: read(path, reader) for what, reader in readers.items()}
        for what, (image, why) in whole.items():
            if image is None and (why or what == "image"):
                broken.append(f"{example.name} {what}: whole file refused {why}")
        rng = np.random.default_rng([seed, *example.name.encode()])
        for _ in range(mutants):
            kind, at, data = mutant(example.data, rng)
            if data == example.data:
                continue
            path.write_bytes(data)
            for what, reader in readers.items():
                expected = whole[what][0]
                if expected is None:
                    continue
                faulthandler.dump_traceback_later(SECONDS, exit=True)
                found, why = read(path, reader)
                faulthandler.cancel_dump_traceback_later()
                tally = counts.setdefault(f"{example.name} {what}", Counter())
                outcome = _outcome(found, expected)
                tally[outcome] += 1
                at_all = example.checked is not None and at >= example.checked
                if why:
                    broken.append(f"{example.name} {what}: {kind} at {at}: {why}")
                elif outcome == "different" and (at_all or kind == "short"):
                    broken.append(f"{example.name} {what}: {kind} at {at}: read different")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"counts": counts, "broken": broken, "MB": round(peak)}))


def _outcome(found, expected):
    if found is None:
        return "refused"
    equal = (
        found.geometry == expected.geometry
        and found.pixels.dtype == expected.pixels.dtype
        and np.array_equal(found.pixels, expected.pixels)
    )
    return "equal" if equal else "different"


if __name__ == "__main__":
    main(sys.argv[1].split(","), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
