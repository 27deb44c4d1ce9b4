"""Single DICOM files: values, colours, places, and what is refused; and every file of the zoo."""

import csv
import io
import struct
import sys
import tracemalloc
import zlib
from collections import Counter

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from delineate.files import (
    UnreadableFile,
    _dicom_compressed,
    _dicom_header,
    data_files,
    folder_images,
    read_geometry,
    read_image,
    read_mask,
)

PIXELS = np.random.default_rng(0).integers(0, 4096, (40, 36)).astype(np.uint16)


@pytest.fixture
def saved(make_slice, tmp_path):
    """Write one slice, with attributes changed, as a.dcm; returns its path."""

    def save(pixels=PIXELS, syntax=ExplicitVRLittleEndian, **attributes):
        made = make_slice(pixels, syntax, **attributes)
        made.save_as(tmp_path / "a.dcm", enforce_file_format=True)
        return tmp_path / "a.dcm"

    return save


def words(path, read=read_image):
    with pytest.raises(UnreadableFile) as raised:
        read(path)
    said = str(raised.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return said.removeprefix(f"{path}: ")


# Values


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
        JPEGLSLossless,
    ],
)
def test_a_slice_is_an_image_of_two_axes_in_hounsfield_units(syntax, saved):
    path = saved(syntax=syntax)
    found = read_image(path)
    assert found.pixels.dtype == np.int16
    np.testing.assert_array_equal(found.pixels[0], PIXELS.astype(int) - 1024)
    expected = [[0, 0.75, 1], [0.5, 0, 2], [0, 0, 3], [0, 0, 1]]
    np.testing.assert_allclose(found.geometry.to_patient, expected)
    assert found.geometry == read_geometry(path)
    assert data_files(path) == (path,)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint8", "int8"])
def test_without_rescale_the_dtype_stays(dtype, saved):
    pixels = PIXELS.astype(dtype)
    path = saved(pixels, Modality="MR", RescaleSlope=None, RescaleIntercept=None)
    found = read_image(path).pixels
    assert found.dtype == dtype
    np.testing.assert_array_equal(found[0], pixels)


def test_computed_tomography_without_rescale_is_signed_where_it_fits(saved):
    found = read_image(saved(RescaleIntercept=None, RescaleSlope=None)).pixels
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found[0], PIXELS)
    high = PIXELS + 40_000
    found = read_image(saved(high)).pixels
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[0], high.astype(int) - 1024)


def test_computed_tomography_without_rescale_is_read_with_a_warning(saved):
    (warning,) = read_image(saved(RescaleIntercept=None, RescaleSlope=None)).warnings
    assert warning == (
        "has no RescaleSlope and RescaleIntercept; the stored numbers are taken for Hounsfield units."
    )
    assert read_image(saved(RescaleIntercept=None)).warnings == ()
    other = saved(RescaleIntercept=None, RescaleSlope=None, Modality="MR")
    assert read_image(other).warnings == ()


def test_a_slope_of_two_numbers_is_refused(saved):
    assert words(saved(RescaleSlope=[2, 3])) == (
        "has 2 numbers as RescaleSlope in a.dcm; expected 1. Export it again."
    )


def test_high_16_bits_minus_1024_are_right(saved):
    """The sum wraps around in 16 bits on the way."""
    pixels = PIXELS + 29_000
    found = read_image(saved(pixels)).pixels
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found[0], pixels.astype(int) - 1024)


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize(("stored", "high"), [(12, 11), (12, 13), (9, 8)])
def test_short_numbers_are_sign_extended_and_other_bits_dropped(signed, stored, high, saved):
    low = -(1 << stored - 1) if signed else 0
    values = np.random.default_rng(1).integers(low, low + (1 << stored), (8, 6))
    shift = high + 1 - stored
    overlay = np.random.default_rng(2).integers(0, 1 << 16, (8, 6))
    mask = ((1 << stored) - 1) << shift
    pixels = (((values << shift) & mask) | (overlay & ~mask & 0xFFFF)).astype(np.uint16)
    path = saved(
        pixels,
        Modality="MR",
        BitsStored=stored,
        HighBit=high,
        PixelRepresentation=signed,
        RescaleIntercept=None,
    )
    np.testing.assert_array_equal(read_image(path).pixels[0], values)


def test_real_slopes_give_real_numbers(saved):
    found = read_image(saved(RescaleSlope=0.25, RescaleIntercept=-3.5)).pixels
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[0], PIXELS * 0.25 - 3.5)
    assert words(saved(RescaleSlope=0)) == "has a RescaleSlope of 0. Export it again."


def test_a_modality_table_is_applied(saved):
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = ((np.arange(4096) ** 2) % 65536).astype("<u2").tobytes()
    table["LUTData"].VR = "OW"
    path = saved(
        Modality="CR",
        ModalityLUTSequence=Sequence([table]),
        RescaleSlope=None,
        RescaleIntercept=None,
    )
    found = read_image(path).pixels[0]
    np.testing.assert_array_equal(found, (PIXELS.astype(int) ** 2) % 65536)
    np.testing.assert_array_equal(found, apply_modality_lut(PIXELS, pydicom.dcmread(path)))
    one = pydicom.dcmread(path)
    one.PhotometricInterpretation = "MONOCHROME1"
    one.save_as(path)
    np.testing.assert_array_equal(read_image(path).pixels[0], 65535 - found)


@pytest.mark.parametrize("signed", [0, 1])
def test_monochrome1_is_inverted_except_for_measurements(signed, saved):
    pixels = PIXELS.astype(np.int16) - 2048 if signed else PIXELS
    options = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    options |= {"RescaleSlope": None, "RescaleIntercept": None}
    found = read_image(saved(pixels, Modality="DX", **options)).pixels
    np.testing.assert_array_equal(found[0], -1 - pixels if signed else 4095 - pixels)
    for modality in ("CT", "PT"):
        found = read_image(saved(pixels, Modality=modality, **options)).pixels
        np.testing.assert_array_equal(found[0], pixels)


def test_padding_outside_the_scale_becomes_air(saved):
    pixels = PIXELS.astype(np.int16)
    pixels[:3] = -2000
    found = read_image(saved(pixels, PixelPaddingValue=-2000))
    expected = pixels.astype(int) - 1024
    expected[:3] = -1024
    np.testing.assert_array_equal(found.pixels[0], expected)
    (warning,) = found.warnings
    assert warning.startswith("108 samples have the padding value")
    # also where it does not fit into the dtype of the other values
    high = PIXELS.copy()
    high[:3] = 60_000
    for attributes in ({}, {"RescaleSlope": 2}, {"RescaleSlope": None, "RescaleIntercept": None}):
        found = read_image(saved(high, PixelPaddingValue=60_000, **attributes)).pixels[0]
        assert found.dtype == np.int16
        assert (found[:3] == -1024).all()
        slope, intercept = (
            attributes.get("RescaleSlope", 1),
            attributes.get("RescaleIntercept", -1024),
        )
        expected = PIXELS[3:].astype(int) * (slope or 1) + (intercept or 0)
        np.testing.assert_array_equal(found[3:], expected)
    assert (read_image(saved(high * 0 + 60_000, PixelPaddingValue=60_000)).pixels == -1024).all()
    # within the scale it may be an ordinary value
    pixels[:3] = 1024
    found = read_image(saved(pixels, PixelPaddingValue=1024))
    assert found.warnings == ()
    np.testing.assert_array_equal(found.pixels[0], pixels - 1024)
    # a range
    pixels[:3] = [[-2000], [-1990], [-1980]]
    options = {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1985}
    found = read_image(saved(pixels, **options)).pixels[0]
    assert (found[:2] == -1024).all()
    assert (found[2] == -1980 - 1024).all()
    # of other modalities it stays
    found = read_image(saved(pixels, Modality="MR", RescaleIntercept=None, **options))
    np.testing.assert_array_equal(found.pixels[0], pixels)


# Places


def radiograph(saved, **attributes):
    return saved(
        PIXELS,
        Modality="DX",
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        RescaleIntercept=None,
        **attributes,
    )


def test_a_radiograph_has_millimetres_where_it_says_so(saved):
    path = radiograph(saved, ImagerPixelSpacing=[0.2, 0.3])
    assert read_geometry(path).spacing == (0.5, 0.75)
    assert read_geometry(path).to_patient is None
    assert read_image(path).warnings == ()
    path = radiograph(saved, PixelSpacing=None, ImagerPixelSpacing=[0.2, 0.3])
    found = read_image(path)
    assert found.geometry.spacing == (0.2, 0.3)
    assert found.geometry.unit == "mm"
    assert found.warnings[0].startswith("its spacing is that at the detector")
    path = radiograph(
        saved,
        PixelSpacing=None,
        ImagerPixelSpacing=[0.2, 0.3],
        EstimatedRadiographicMagnificationFactor=1.25,
    )
    assert read_geometry(path).spacing == pytest.approx((0.16, 0.24))
    assert read_image(path).warnings == ()
    path = radiograph(saved, PixelSpacing=None)
    assert read_geometry(path).unit == "px"
    found = read_image(radiograph(saved, PixelSpacing=None, NominalScannedPixelSpacing=[0.2, 0.3]))
    assert found.geometry.spacing == pytest.approx((0.2, 0.3))
    assert found.warnings[0].startswith(
        "its spacing is that on the scanned film (NominalScannedPixelSpacing)"
    )


# Colours


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless])
def test_colours_are_three_channels_without_millimetres(syntax, saved):
    rgb = np.random.default_rng(0).integers(0, 255, (40, 36, 3), dtype=np.uint8)
    found = read_image(saved(rgb, syntax, Modality="OT"))
    np.testing.assert_array_equal(found.pixels, np.moveaxis(rgb, -1, 0))
    assert found.geometry.unit == "px"


def test_a_palette_is_colour_in_an_image_and_indices_in_a_mask(saved):
    indices = (PIXELS % 5).astype(np.uint8)
    colours = np.random.default_rng(0).integers(0, 255, (5, 3))
    options = {"PhotometricInterpretation": "PALETTE COLOR", "Modality": "US"}
    for name, channel in zip(("Red", "Green", "Blue"), colours.T, strict=True):
        options[f"{name}PaletteColorLookupTableDescriptor"] = [5, 0, 16]
        data = (channel << 8).astype("<u2").tobytes()
        options[f"{name}PaletteColorLookupTableData"] = data
    path = saved(indices, RescaleSlope=None, RescaleIntercept=None, **options)
    np.testing.assert_array_equal(read_image(path).pixels, np.moveaxis(colours[indices], -1, 0))
    np.testing.assert_array_equal(read_mask(path).pixels[0], indices)


# Multi-frame


def enhanced(saved, positions, **attributes):
    """Frames of a CT with functional groups, at heights in mm; frame i has the value i and the intercept 10 * i."""
    frames = np.stack([np.full((6, 5), i, np.int16) for i in range(len(positions))])
    shared, per_frame = Dataset(), []
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.75], 2
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelMeasuresSequence = Sequence([measures])
    for index, height in enumerate(positions):
        group, position, values = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [1, 2, height]
        values.RescaleSlope, values.RescaleIntercept = 1, 10 * index
        group.PlanePositionSequence = Sequence([position])
        group.PixelValueTransformationSequence = Sequence([values])
        per_frame.append(group)
    options = {
        "SOPClassUID": EnhancedCTImageStorage,
        "NumberOfFrames": len(positions),
        "SharedFunctionalGroupsSequence": Sequence([shared]),
        "PerFrameFunctionalGroupsSequence": Sequence(per_frame),
        "ImagePositionPatient": None,
        "ImageOrientationPatient": None,
        "PixelSpacing": None,
    }
    path = saved(frames[0], **{**options, **attributes})
    one = pydicom.dcmread(path)
    one.PixelData = frames.tobytes()
    one.save_as(path)
    return path


def test_frames_with_functional_groups_are_a_volume(saved):
    path = enhanced(saved, [8, 2, 4, 6])
    found = read_image(path)
    assert found.pixels[0, :, 0, 0].tolist() == [11, 22, 33, 0]
    assert found.geometry.spacing == pytest.approx((2, 0.5, 0.75))
    np.testing.assert_allclose(found.geometry.to_patient[:, 3], [1, 2, 2, 1])
    assert read_geometry(path) == found.geometry
    assert read_image(path.parent).geometry == found.geometry


def test_frames_without_their_own_rescale_have_that_of_the_file(saved):
    path = enhanced(saved, [2, 4], RescaleSlope=2, RescaleIntercept=-5)
    one = pydicom.dcmread(path)
    for group in one.PerFrameFunctionalGroupsSequence:
        del group.PixelValueTransformationSequence
    one.save_as(path)
    assert read_image(path).pixels[0, :, 0, 0].tolist() == [-5, -3]


def test_enhanced_files_of_one_frame_are_a_volume(saved):
    path = enhanced(saved, [2])
    folder = path.parent
    for index, height in enumerate([8, 6, 4, 2]):
        one = pydicom.dcmread(enhanced(saved, [height], SOPInstanceUID=f"1.2.{index}"))
        one.save_as(folder / f"{index}.dcm")
    path.unlink()
    found = read_image(folder)
    assert found.pixels.shape == (1, 4, 6, 5)
    np.testing.assert_allclose(found.geometry.to_patient[:, 3], [1, 2, 2, 1])
    assert [p.name for p in data_files(folder)] == ["3.dcm", "2.dcm", "1.dcm", "0.dcm"]
    ((image,), _) = folder_images(folder)
    assert (image.path, len(image.files)) == (folder, 4)


def test_frames_that_are_no_volume_are_refused(saved):
    assert words(enhanced(saved, [2, 4, 8])).startswith(
        "misses 1 of 4 slices, at 6 mm along the normal: frame 2 and frame 3"
    )
    assert words(enhanced(saved, [2, 4, 2, 4])).startswith(
        "has 4 images at 2 positions: frame 1 and frame 3 are both at (1, 2, 2) mm."
    )
    assert words(enhanced(saved, [2, 4, 2, 4])).endswith(
        "Export the frames that you need as single images."
    )
    cine = enhanced(
        saved, [1, 2], PerFrameFunctionalGroupsSequence=None, SharedFunctionalGroupsSequence=None
    )
    assert words(cine).startswith("has 2 frames without positions in the patient")


# What is refused


@pytest.mark.parametrize(
    ("modality", "kind"),
    [("SEG", "a segmentation"), ("RTSTRUCT", "a set of contours"), ("RTDOSE", "a dose")],
)
def test_objects_that_are_not_images_are_named(modality, kind, saved):
    for read in (read_image, read_mask, read_geometry):
        assert words(saved(Modality=modality), read).startswith(f"is {kind} ({modality}) in DICOM")


def test_a_syntax_without_a_decoder_is_named(saved, monkeypatch):
    path = saved(syntax=JPEGLSLossless)
    decoder = type(pydicom.pixels.get_decoder(JPEGLSLossless))
    with monkeypatch.context() as without:
        without.setattr(decoder, "is_available", property(lambda self: False))
        assert words(path) == (
            "is compressed as JPEG-LS Lossless Image Compression, and no decoder for it is installed. "
            'Install it with: pip install "delineate[dicom]"'
        )
    assert read_geometry(path).shape == PIXELS.shape
    path.write_bytes(path.read_bytes().replace(b"10008.1.2.4.80", b"10008.1.2.4.53"))
    assert words(path).startswith("is compressed as JPEG Spectral Selection")


def test_without_pydicom_the_way_to_it_is_told(saved, monkeypatch):
    path = saved()
    monkeypatch.setitem(sys.modules, "pydicom.filereader", None)
    said = 'is DICOM, and pydicom is not installed. Install it with: pip install "delineate[dicom]"'
    assert words(path) == said
    assert words(path, read_geometry) == said
    assert words(path.parent) == f"its file a.dcm {said}"


def raw(path, *elements, syntax=ExplicitVRLittleEndian, deflate=False):
    """A file of elements (tag, VR, bytes), which pydicom would not write."""
    stream = io.BytesIO()
    body = b""
    for tag, vr, value in elements:
        long = vr in ("OB", "OW", "SQ", "UN")
        head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
        length = len(value) if not isinstance(value, int) else value
        head += struct.pack("<HI", 0, length) if long else struct.pack("<H", length)
        body += head + (value if not isinstance(value, int) else b"")
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    if deflate:
        packer = zlib.compressobj(9, wbits=-15)
        body = packer.compress(body) + packer.flush()
    stream.write(bytes(128) + b"DICM" + meta + body)
    path.write_bytes(stream.getvalue())
    return path


def number(value):
    return struct.pack("<H", value)


def image(rows=4, columns=4, bits=16, stored=16, frames=b"", data=bytes(32)):
    return [
        (0x00080016, "UI", CTImageStorage.encode() + b"\0"),
        (0x00280002, "US", number(1)),
        (0x00280004, "CS", b"MONOCHROME2 "),
        *([(0x00280008, "IS", frames)] if frames else []),
        (0x00280010, "US", number(rows)),
        (0x00280011, "US", number(columns)),
        (0x00280100, "US", number(bits)),
        (0x00280101, "US", number(stored)),
        (0x00280102, "US", number(stored - 1)),
        (0x00280103, "US", number(0)),
        (0x7FE00010, "OW", data),
    ]


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        (image(rows=65535, columns=65535), "has 65535 x 65535 samples; at most"),
        (
            image(rows=9999, columns=9999),
            "holds 32 bytes of pixels in a.dcm, but its header declares",
        ),
        (image(frames=b"1000000000"), "holds 32 bytes of pixels in a.dcm, but its header declares"),
        (image(frames=b"1A"), "has NumberOfFrames = '1A'; expected numbers"),
        (image(frames=b"-3"), "has -3 frames; expected 1 or more"),
        (image(frames=b"1e999 "), "has NumberOfFrames = '1e999'"),
        (image(stored=17), "has 17 of 16 bits in use in a.dcm"),
        (image(bits=12), "has 16 of 12 bits in use in a.dcm"),
        (image(rows=0), "has 0 rows and 4 columns"),
        (image(data=bytes(30)), "holds 30 bytes of pixels in a.dcm, but its header declares 32"),
        (image(data=0xFFFFFFF0), "holds 0 bytes of pixels in a.dcm, but its header declares 32"),
        (image(data=0xFFFFFFFF), "holds 0 bytes of pixels in a.dcm, but its header declares 32"),
        (image()[:-1], "is DICOM without pixels (CT Image Storage)"),
    ],
)
def test_a_header_that_cannot_be_is_refused(elements, said, tmp_path):
    path = raw(tmp_path / "a.dcm", *elements)
    for read in (read_image, read_mask, read_geometry):
        assert words(path, read).startswith(said)
    assert read_image(raw(path, *image())).pixels.shape == (1, 4, 4)


@pytest.mark.parametrize("depth", [3000, 30_000])
@pytest.mark.parametrize("undefined", [True, False])
def test_sequences_within_sequences_are_refused_or_skipped(depth, undefined, tmp_path):
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + struct.pack(
        "<HH2sHI", 0x40, 0xA730, b"SQ", 0, 0xFFFFFFFF
    )
    nest = item * depth
    path = raw(
        tmp_path / "a.dcm",
        (0x00080016, "UI", CTImageStorage.encode() + b"\0"),
        (0x0040A730, "SQ", 0xFFFFFFFF if undefined else nest),
    )
    if undefined:
        path.write_bytes(path.read_bytes() + nest)
    assert words(path).startswith(
        "begins like DICOM but cannot be decoded" if undefined else "is DICOM without pixels"
    )
    assert words(tmp_path).startswith("its file a.dcm ")


def test_a_deflated_bomb_is_refused_before_it_is_unpacked(tmp_path):
    bomb = raw(
        tmp_path / "a.dcm",
        (0x00091010, "OB", bytes(40 << 20)),
        *image(),
        syntax=DeflatedExplicitVRLittleEndian,
        deflate=True,
    )
    assert bomb.stat().st_size < 1 << 20
    for read in (read_image, read_geometry):
        assert words(bomb, read).startswith("is deflated DICOM of")
    plain = raw(bomb, *image(), syntax=DeflatedExplicitVRLittleEndian, deflate=True)
    assert read_image(plain).pixels.shape == (1, 4, 4)


@pytest.mark.parametrize(
    "syntax", [JPEG2000Lossless, JPEGLSLossless, JPEGBaseline8Bit, JPEGLosslessSV1]
)
def test_a_codestream_of_another_size_is_not_decoded(syntax, saved, real_data, monkeypatch):
    if syntax in (JPEG2000Lossless, JPEGLSLossless):
        path = saved(syntax=syntax)
    else:
        zoo = real_data / "dicom_zoo" / "ct_same_image_many_syntaxes"
        (source,) = zoo.glob(f"*TransferSyntax_{syntax}.dcm")
        path = saved()
        path.write_bytes(source.read_bytes())
    one = pydicom.dcmread(path)
    whole = read_image(path).pixels
    shape = (one.Rows, one.Columns, one.SamplesPerPixel)
    at = one.PixelData.index(b"\xff\x4f\xff\x51" if syntax == JPEG2000Lossless else b"\xff\xd8")
    frame = one.PixelData[at:]
    assert _dicom_compressed.codestream(frame)[:3] == shape
    assert whole.shape == (1, *shape[:2])
    monkeypatch.setattr(type(pydicom.pixels.get_decoder(syntax)), "iter_array", None)
    for rows, columns, said in (
        (shape[0] // 2, shape[1], "has compressed pixels of"),
        (shape[0], shape[1] // 2, "has compressed pixels of"),
    ):
        one.Rows, one.Columns = rows, columns
        one.save_as(path)
        assert words(path).startswith(
            f"{said} {shape[0]} x {shape[1]} x 1 samples in a.dcm, but its header declares {rows} x {columns} x 1."
        )
    one.Rows, one.Columns = shape[:2]
    one.PixelData = one.PixelData.replace(frame[:4], bytes(4))
    one.save_as(path)
    assert words(path).startswith("has compressed pixels in a.dcm that tell no size.")


def test_a_codestream_that_declares_several_sizes_is_not_read():
    codestream = _dicom_compressed.codestream
    frame = b"\xff\xc3\0\x0b\x10" + struct.pack(">HH", 4, 5) + b"\1\1\x11\0"
    scan = b"\xff\xda\0\x08\1\1\0\1\0\0"
    assert codestream(b"\xff\xd8\xff\xe0\0\4AB\xff" + frame + scan) == (4, 5, 1, False)
    assert codestream(b"\xff\xd8" + frame.replace(b"\xc3", b"\xc1") + scan) == (4, 5, 1, True)
    assert codestream(b"\xff\xd8" + frame * 2 + scan) is None
    assert codestream(b"\xff\xd8" + frame + b"\xff\xf8\0\7\4\2\xff\xff\xff\xff" + scan) is None
    assert codestream(b"\xff\xd8" + scan + frame) is None
    size = b"\xff\x4f\xff\x51\0\x29\0\0" + struct.pack(">8IH", 9, 8, 2, 1, 9, 8, 0, 0, 3)
    assert codestream(size) == (7, 7, 3, False)
    box = b"\0\0\0\x0cjP  \r\n\x87\n"
    assert codestream(box + struct.pack(">I4s", 50, b"jp2c") + size) == (7, 7, 3, False)
    assert codestream(box + struct.pack(">I4s", 0, b"uuid") + size) is None
    for data in (box, size, b"\xff\xd8" + frame):
        for end in range(len(data)):
            assert codestream(data[:end]) is None


def test_what_a_deflated_file_inflates_to_is_not_kept(tmp_path):
    files = []
    for index in range(4):
        path = tmp_path / f"{index}.dcm"
        raw(
            path,
            (0x00091010, "OB", bytes(12 << 20)),
            *image(),
            syntax=DeflatedExplicitVRLittleEndian,
            deflate=True,
        )
        files.append(path)
    tracemalloc.start()
    headers = [_dicom_header.read_header(path) for path in files]
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1 << 20
    assert headers[0].end > 12 << 20
    assert read_image(files[0]).pixels.shape == (1, 4, 4)
    path = raw(
        files[0],
        (0x0008103E, "UN", bytes(12 << 20)),
        *image(),
        syntax=DeflatedExplicitVRLittleEndian,
        deflate=True,
    )
    assert words(path).startswith("has 12582912 bytes as SeriesDescription; expected at most")


# Transfer syntaxes


def declared(path, syntax):
    """Declare another transfer syntax."""
    whole = path.read_bytes()
    at = whole.index(b"\x02\x00\x10\x00UI") + 6
    end = at + 2 + int.from_bytes(whole[at : at + 2], "little")
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    path.write_bytes(whole[:at] + struct.pack("<H", len(uid)) + uid + whole[end:])
    return path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("long", [False, True], ids=["quick", "slow"])
@pytest.mark.parametrize(
    ("real", "said"),
    [
        (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
        (ExplicitVRLittleEndian, ExplicitVRLittleEndian),
        (ImplicitVRLittleEndian, ImplicitVRLittleEndian),
    ],
)
def test_pixels_are_right_where_the_declared_syntax_is_not_the_real_one(real, said, long, saved):
    comment = {"ImageComments": "x" * 10_000, "TextValue": "x" * 10_000} if long else {}
    path = declared(saved(syntax=real, **comment), said)
    assert len(path.read_bytes()) - PIXELS.nbytes > 1 << 14 or not long
    assert agree(path) == (real == said and not long)
    np.testing.assert_array_equal(read_image(path).pixels[0], PIXELS.astype(int) - 1024)
    np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array, PIXELS)


def test_pixels_are_right_where_only_their_element_is_implicit(saved):
    path = saved()
    whole = path.read_bytes()
    at = whole.index(b"\xe0\x7f\x10\x00OW\0\0")
    path.write_bytes(whole[: at + 4] + whole[at + 8 :])
    assert not agree(path)
    np.testing.assert_array_equal(read_image(path).pixels[0], PIXELS.astype(int) - 1024)


def test_bytes_without_the_mark_of_dicom_are_not_forced(saved):
    path = saved()
    path.write_bytes(path.read_bytes()[132:])
    assert "unknown format" in words(path)


def test_control_characters_of_a_file_are_not_printed(tmp_path):
    elements = [(0x00080016, "UI", b"1.2\x1b[31m"), (0x00080060, "CS", b"RT\x1b[31m")]
    assert words(raw(tmp_path / "a.dcm", *elements)) == (
        "is DICOM without pixels (1.2[31m, modality RT[31m). Give a file or a folder with images."
    )


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_numbers_of_8_to_32_bits_are_read(bits, tmp_path):
    values = np.arange(16, dtype=f"<u{bits // 8}").reshape(4, 4)
    path = raw(tmp_path / "a.dcm", *image(bits=bits, stored=bits, data=values.tobytes()))
    found = read_image(path).pixels[0]
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


# The zoo

LOSSY = ("4.50", "4.51", "4.53", "4.55", "4.81", "4.91")
REFUSED = {
    "is a segmentation (SEG)": ("SEG",),
    "is a set of contours (RTSTRUCT)": ("RTSTRUCT",),
    "is a dose (RTDOSE)": ("RTDOSE",),
    "is a report (SR)": ("SR",),
}
ODD = {
    "odd_files/CT0012.fragmented_no_bot_jpeg_baseline.51.dcm": "is compressed as JPEG with 12 bits",
    "odd_files/JLSL_RGB_ILV1.dcm": "unknown format",
    "odd_files/MR_truncated.dcm": "holds 8130 bytes of pixels",
    "odd_files/OT-PAL-8-face.dcm": "unknown format",
    "odd_files/examples_ybr_color.dcm": "has 30 frames without positions",
    "odd_files/no_meta.dcm": "unknown format",
    "2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm": "is compressed as JPEG with 12 bits",
    "6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm": "is compressed as JPEG Spectral Selection",
    "10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm": "is compressed as JPEG Full Progression",
    "mr_multiframe/": "has 10 frames without positions",
}


def expected_refusal(name, modality):
    for said, modalities in REFUSED.items():
        if modality in modalities:
            return said
    return next((said for part, said in ODD.items() if part in name), None)


def by_pydicom(path):
    """The values of a file, (frame, row, column) or (row, column, 3), by pydicom."""
    one = pydicom.dcmread(path)
    pixels = one.pixel_array
    if one.PhotometricInterpretation == "PALETTE COLOR":
        return pydicom.pixels.apply_color_lut(pixels, one) >> 8
    if pixels.ndim == 3 and pixels.shape[-1] == 3:
        return pixels
    return apply_modality_lut(pixels, one)


@pytest.mark.filterwarnings("ignore")
def test_every_file_of_the_zoo_is_read_right_or_refused_in_words(real_data):
    zoo = real_data / "dicom_zoo"
    outcomes = Counter()
    for row in csv.DictReader((zoo / "INVENTORY.csv").open(encoding="utf-8")):
        path = zoo / row["file"]
        if said := expected_refusal(row["file"], row["modality"]):
            assert said in words(path), row["file"]
            outcomes["refused"] += 1
            continue
        found = read_image(path)
        outcomes["read"] += 1
        assert found.geometry == read_geometry(path)
        pixels = found.pixels
        if found.channels == 3:
            np.testing.assert_array_equal(np.moveaxis(pixels, 0, -1), by_pydicom(path), row["file"])
            continue
        theirs = by_pydicom(path).reshape(pixels[0].shape)
        same = np.isclose(pixels[0], theirs, rtol=1e-6)
        if found.warnings:
            assert "padding" in found.warnings[0] or "no RescaleSlope" in found.warnings[0]
            same |= (pixels[0] == -1024) & (theirs < -1024)
        assert same.all(), row["file"]
    assert outcomes == {"read": 93, "refused": 28}


def test_lossless_syntaxes_give_identical_pixels(real_data):
    files = sorted((real_data / "dicom_zoo" / "ct_same_image_many_syntaxes").iterdir())
    lossless = [p for p in files if not any(f"1.2.840.10008.1.2.{s}.dcm" in p.name for s in LOSSY)]
    assert len(lossless) == 10
    first, *others = [read_image(path) for path in lossless]
    for other in others:
        np.testing.assert_array_equal(other.pixels, first.pixels)
        assert other.geometry == first.geometry


SERIES = [
    "ct3_series_with_seg/series",
    "mr_series_hippocrop",
    "mr_series_t1post",
    "tiny_series_23x38x3/image",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SERIES)
def test_series_lie_where_simpleitk_and_highdicom_say(name, real_data):
    folder = real_data / "dicom_zoo" / name
    found = read_image(folder)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    theirs = reader.Execute()
    direction = np.array(theirs.GetDirection()).reshape(3, 3) * theirs.GetSpacing()
    affine = found.geometry.to_patient
    np.testing.assert_allclose(affine[:3, :3], direction[:, ::-1], atol=1e-4)
    np.testing.assert_allclose(affine[:3, 3], theirs.GetOrigin(), atol=1e-4)
    values = SimpleITK.GetArrayFromImage(theirs)
    values = np.where(values < -1024, -1024, values) if found.warnings else values
    np.testing.assert_array_equal(found.pixels[0], values)
    slices = [pydicom.dcmread(path) for path in data_files(folder)]
    volume = highdicom.get_volume_from_series(slices).flip_spatial(
        0
    )  # it counts against the normal
    np.testing.assert_allclose(volume.affine, affine, atol=1e-4)


def test_a_legacy_multiframe_file_lies_where_its_series_lies(real_data):
    tiny = real_data / "dicom_zoo" / "tiny_series_23x38x3"
    series, multi = read_image(tiny / "image"), read_image(tiny / "multiframe" / "mf.dcm")
    assert multi.geometry == series.geometry
    np.testing.assert_array_equal(multi.pixels, series.pixels)


def test_films_of_siim_are_read(real_data):
    for path in sorted((real_data / "siim_cxr_dicom_unlabelled").rglob("*.dcm"))[:5]:
        found = read_image(path)
        assert found.geometry.ndim == 2
        assert found.geometry.unit == "mm"
        assert found.pixels.dtype == np.uint8


def test_big_endian_is_native_after_reading(saved):
    path = saved(syntax=ExplicitVRBigEndian)
    found = read_image(path).pixels
    assert found.dtype.isnative


# Two readers of headers


def agree(path):
    """Whether the quick reader covers a file; then it must say what pydicom says."""
    data = path.read_bytes()
    quick = _dicom_header._quick(path, data[: _dicom_header.QUICK_BYTES], len(data))
    if quick is None:
        return False
    slow = _dicom_header._slow(path, len(data))
    for name in ("syntax", "values", "start", "length", "tag", "size", "kind"):
        assert getattr(quick, name) == getattr(slow, name), (path.name, name)
    return True


@pytest.mark.filterwarnings("ignore")
def test_the_quick_reader_of_headers_agrees_with_pydicom_on_the_zoo(real_data):
    zoo = real_data / "dicom_zoo"
    files = [path for path in sorted(zoo.rglob("*")) if path.is_file()]
    dicom = [path for path in files if path.read_bytes()[128:132] == b"DICM"]
    assert sum(agree(path) for path in dicom) > 60


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless])
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_the_quick_reader_of_headers_agrees_with_pydicom_on_damage(syntax, data, saved):
    path = saved(syntax=syntax)
    whole = path.read_bytes()
    at = data.draw(st.integers(132, 760))
    value = data.draw(st.binary(min_size=1, max_size=8))
    path.write_bytes(whole[:at] + value + whole[at + data.draw(st.integers(0, len(value))) :])
    try:
        agree(path)
    except AssertionError:
        raise
    except Exception:
        return  # pydicom refuses more
