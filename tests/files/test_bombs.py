"""Small files that unpack to much, or declare much: they are refused before the memory is taken."""

import gzip
import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import nibabel
import numpy as np
import PIL.Image
import pytest
import tifffile

from delineate.core import Geometry, Image
from delineate.files import UnreadableFile, read_image, write_image

MOST_MB = 150
"""What a refused file may take; each unpacks to, or declares, several times more."""
HUGE = 800 << 20


def zeros(size, wbits):
    """`size` bytes, packed a thousandfold."""
    packer = zlib.compressobj(9, wbits=wbits)
    piece = bytes(1 << 20)
    return b"".join(packer.compress(piece) for _ in range(size >> 20)) + packer.flush()


def png(path, rows, columns, *extra, bits=8, colour=0, packed=b""):
    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", columns, rows, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *extra, (b"IDAT", packed), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


def nifti(shape, dtype=np.uint8):
    header = nibabel.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    return header.binaryblock + bytes(4)


def gzip_of_another_length(path):
    packer = zlib.compressobj(9, wbits=31)
    start = packer.compress(nifti((10, 10, 10)))
    piece = bytes(1 << 20)
    packed = b"".join(packer.compress(piece) for _ in range(HUGE >> 20))
    path.write_bytes(start + packed + packer.flush())


def many_times(path):
    path.write_bytes(gzip.compress(nifti((10, 10, 10, 32767, 32767), np.float64)))


def declared_volume(path):
    path.write_bytes(nifti((1000, 1000, 800)) + bytes(1000))


NRRD = "NRRD0004\ntype: {}\ndimension: 3\nsizes: {}\nendian: little\nencoding: {}\n\n"
META = (
    "ObjectType = Image\nNDims = 3\nDimSize = {}\nElementNumberOfChannels = {}\nElementType = {}\n"
    "CompressedData = {}\nCompressedDataSize = {}\nElementDataFile = LOCAL\n"
)


def nrrd_of_another_length(path):
    path.write_bytes(NRRD.format("uint8", "10 10 10", "gzip").encode() + zeros(HUGE, 31))


def nrrd_declared(path):
    path.write_bytes(NRRD.format("uint8", "1000 1000 900", "raw").encode() + bytes(1000))


def meta_of_another_length(path):
    packed = zeros(HUGE, 15)
    header = META.format("10 10 10", 1, "MET_UCHAR", True, len(packed))
    path.write_bytes(header.encode() + packed)


def meta_declared(path):
    header = META.format("1000 1000 1000", 3, "MET_DOUBLE", False, 0)
    path.write_bytes(header.encode() + bytes(1000))


def png_declared(path):
    png(path, 20_000, 20_000, packed=zlib.compress(bytes(1000)))


def png_of_zeros(path):
    png(path, 31_000, 31_000, colour=2, packed=zeros(3 << 20, 15))


def palette_of_another_length(path):
    png(path, 100, 100, (b"PLTE", bytes(6)), colour=3, packed=zeros(HUGE, 15))


def png_text(path):
    text = (b"zTXt", b"Comment\0\0" + zeros(HUGE, 15))
    rows = zlib.compress(b"".join(b"\1" + bytes(10) for _ in range(10)))
    png(path, 10, 10, (b"PLTE", bytes(6)), text, colour=3, packed=rows)


def png_profile(path):
    profile = (b"iCCP", b"profile\0\0" + zeros(HUGE, 15))
    rows = zlib.compress(b"".join(b"\0" + bytes(30) for _ in range(10)))
    png(path, 10, 10, profile, colour=2, packed=rows)


def picture(path, form, at, declared):
    """A small picture whose header declares another size."""
    stream = io.BytesIO()
    PIL.Image.new("L", (64, 64)).save(stream, form)
    data = bytearray(stream.getvalue())
    data[at : at + len(declared)] = declared
    path.write_bytes(bytes(data))


def gif_declared(path):
    picture(path, "GIF", 6, struct.pack("<HH", 30_000, 30_000))


def bmp_declared(path):
    picture(path, "BMP", 18, struct.pack("<ii", 30_000, 30_000))


def jpeg_declared(path):
    stream = io.BytesIO()
    PIL.Image.new("RGB", (64, 64)).save(stream, "JPEG", progressive=True)
    data = bytearray(stream.getvalue())
    at = data.index(b"\xff\xc2") + 5
    data[at : at + 4] = struct.pack(">HH", 20_000, 20_000)
    path.write_bytes(bytes(data))


def jpeg2000_declared(path):
    stream = io.BytesIO()
    PIL.Image.new("L", (64, 64)).save(stream, "JPEG2000", no_jp2=True)
    data = bytearray(stream.getvalue())
    data[8:16] = data[24:32] = struct.pack(">II", 30_000, 30_000)
    path.write_bytes(bytes(data))


def tiff(path, compression):
    PIL.Image.new("L", (64, 64)).save(path, "TIFF", compression=compression)


def overwritten(path, **tags):
    with tifffile.TiffFile(path, mode="r+") as found:
        for name, value in tags.items():
            found.pages[0].tags[name].overwrite(value)


def tiff_declared(path):
    tiff(path, "tiff_adobe_deflate")
    overwritten(path, ImageWidth=30_000, ImageLength=30_000, RowsPerStrip=30_000)


def tiff_strip(path, compression, packed):
    tiff(path, compression)
    at = path.stat().st_size
    with path.open("ab") as file:
        file.write(packed)
    overwritten(path, StripOffsets=(at,), StripByteCounts=(len(packed),))


def tiff_deflate(path):
    tiff_strip(path, "tiff_adobe_deflate", zeros(HUGE, 15))


def tiff_packbits(path):
    tiff_strip(path, "packbits", b"\x81\0" * (4 << 20))


def dicom(path, syntax, rows, packed):
    """A header of 65535 columns and these rows, before packed bytes."""
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax
    numbers = {0x02: 1, 0x10: rows, 0x11: 65_535, 0x100: 16, 0x101: 16, 0x102: 15, 0x103: 0}
    body = [struct.pack("<HH2sHH", 0x28, tag, b"US", 2, n) for tag, n in numbers.items()]
    body.insert(1, struct.pack("<HH2sH12s", 0x28, 0x04, b"CS", 12, b"MONOCHROME2 "))
    path.write_bytes(bytes(128) + b"DICM" + meta + b"".join(body) + packed)


def dicom_deflated(path):
    syntax = b"1.2.840.10008.1.2.1.99"
    dicom(path, syntax, 0, b"")
    start = 132 + 8 + len(syntax)
    path.write_bytes(path.read_bytes()[:start] + zeros(HUGE, -15))


def dicom_declared(path):
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + bytes(1 << 20)
    dicom(path, b"1.2.840.10008.1.2.4.90", 15_000, pixels)


def dicom_of_another_size(path):
    """JPEG-LS of 16384 x 16384 samples in a few kilobytes, under a header of one row."""
    import jpeg_ls
    from pydicom.encaps import encapsulate

    pixels = encapsulate([bytes(jpeg_ls.encode_array(np.zeros((16_384, 16_384), np.uint16)))])
    packed = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + pixels
    dicom(path, b"1.2.840.10008.1.2.4.80", 1, packed)


BOMBS = [
    dicom_deflated, dicom_declared, dicom_of_another_size,
    gzip_of_another_length, many_times, declared_volume,
    nrrd_of_another_length, nrrd_declared, meta_of_another_length, meta_declared,
    png_declared, png_of_zeros, palette_of_another_length, png_text, png_profile,
    gif_declared, bmp_declared, jpeg_declared, jpeg2000_declared,
    tiff_declared, tiff_deflate, tiff_packbits,
]  # fmt: skip
HARMLESS = [png_text, png_profile]
"""Bombs beside the samples, which need not be unpacked."""


def read_alone(path):
    """What `bomb.py` says."""
    script = Path(__file__).with_name("bomb.py")
    done = subprocess.run(
        [sys.executable, script, path], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("make", BOMBS, ids=lambda make: make.__name__)
def test_a_bomb_is_refused_before_memory_is_taken(make, tmp_path):
    path = tmp_path / "bomb"
    make(path)
    assert path.stat().st_size < 10 << 20
    found = read_alone(path)
    assert found["MB"] < MOST_MB, found
    assert found["why"].startswith(f"{path}: ") or make in HARMLESS
    assert "memory of this machine" not in found["why"]  # it was not tried


SIDE = 2000
SPARE_MB = 16
"""What a process takes here and there, whatever it reads."""


def large(mode):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    grey = ((np.sin(rows / 40) + np.cos(columns / 30)) * 60 + 128).astype(np.uint8)
    if mode == "deep":
        return np.dstack([grey, grey.T, grey[::-1]]).astype(np.uint16) * 200
    picture = PIL.Image.fromarray(grey)
    if mode == "P":
        picture.putpalette(bytes(768))
        return picture
    bands = [picture, picture.rotate(90), picture.transpose(0)]
    return PIL.Image.merge("RGB", bands).convert(mode)


OF_PILLOW = [
    ("png", "1", {}), ("png", "P", {}), ("png", "L", {}), ("png", "LA", {}), ("png", "RGB", {}), ("png", "RGBA", {}),
    ("jpg", "L", {"progressive": True}), ("jpg", "RGB", {"progressive": True, "subsampling": 0}), ("jpg", "CMYK", {}),
    ("gif", "P", {}), ("bmp", "P", {}), ("bmp", "RGB", {}), ("webp", "RGB", {}), ("webp", "RGB", {"lossless": True}),
    ("jp2", "L", {}), ("jp2", "RGB", {}), ("jp2", "RGBA", {}),
    ("tif", "1", {}), ("tif", "RGB", {}), ("tif", "RGBA", {}), ("tif", "P", {"compression": "tiff_lzw"}),
    ("tif", "RGBA", {"compression": "tiff_lzw"}), ("tif", "RGBA", {"compression": "tiff_adobe_deflate"}),
    ("tif", "RGB", {"compression": "packbits"}), ("tif", "RGB", {"compression": "jpeg"}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "mode", "options"), OF_PILLOW)
def test_a_picture_takes_no_more_than_its_reader_states(suffix, mode, options, tmp_path):
    path = tmp_path / f"a.{suffix}"
    large(mode).save(path, **options)
    found = read_alone(path)
    assert found["why"] == ""
    assert found["MB"] < found["stated"] + SPARE_MB


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "jp2", "tif"])
def test_deep_colour_takes_no_more_than_its_reader_states(suffix, tmp_path):
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), large("deep"))
    found = read_alone(tmp_path / f"a.{suffix}")
    assert found["why"] == ""
    assert found["MB"] < found["stated"] + SPARE_MB


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64"])
def test_a_scan_takes_no_more_than_its_reader_states(suffix, dtype, tmp_path):
    labels = (np.asarray(large("L")) // 60).astype(dtype)[None, ..., None].repeat(2, axis=-1)
    image = Image(labels, Geometry.in_patient(labels.shape[1:], np.eye(4)))
    write_image(image, tmp_path / f"a{suffix}")
    found = read_alone(tmp_path / f"a{suffix}")
    assert found["why"] == ""
    assert found["MB"] < found["stated"] + SPARE_MB


@pytest.mark.parametrize("values", [31_000, 40_000])
def test_a_picture_larger_than_the_limit_is_refused_in_words(values, tmp_path):
    png(tmp_path / "a.png", values, values, colour=2, packed=bytes(3 * values**2 // 1000))
    with pytest.raises(UnreadableFile, match=r"at most (4 GiB are decoded|1e\+09 are read)"):
        read_image(tmp_path / "a.png")


def test_channels_count(tmp_path):
    many_times(tmp_path / "a.nii.gz")
    with pytest.raises(UnreadableFile, match="expected"):
        read_image(tmp_path / "a.nii.gz")
    (tmp_path / "b.nii").write_bytes(nifti((1000, 1000, 100, 30)))
    with pytest.raises(UnreadableFile, match="1000 x 1000 x 100 samples of 60 bytes"):
        read_image(tmp_path / "b.nii")
