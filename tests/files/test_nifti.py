import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK

from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
from delineate.files import (
    UnreadableFile,
    read_geometry,
    read_image,
    read_mask,
    write_image,
    write_mask,
)

OBLIQUE = np.array([[-0.9, 0.2, 0, 10], [0.2, 0.9, 0.3, -20], [0, -0.2, 2.5, 30], [0, 0, 0, 1]])


def save(path, array, affine=OBLIQUE, **header):
    image = nibabel.Nifti1Image(array, affine)
    for key, value in header.items():
        image.header[key] = value
    nibabel.save(image, path)
    return path


def test_array_order_is_kept_and_axes_are_lps(tmp_path):
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    found = read_image(save(tmp_path / "a.nii.gz", array))
    np.testing.assert_array_equal(found.pixels[0], array)
    assert found.pixels.dtype == np.int16
    index = np.array([1, 2, 3, 1])
    ras = OBLIQUE @ index
    np.testing.assert_allclose(found.geometry.to_patient @ index, ras * [-1, -1, 1, 1], atol=1e-5)
    np.testing.assert_allclose(found.geometry.spacing, np.linalg.norm(OBLIQUE[:3, :3], axis=0))


def test_gzip_is_seen_by_content(tmp_path):
    save(tmp_path / "a.nii", np.ones((2, 3, 4), np.uint8))
    (tmp_path / "b.nii").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()))
    (tmp_path / "a.nii").rename(tmp_path / "c.nii.gz")
    assert read_image(tmp_path / "b.nii").geometry == read_image(tmp_path / "c.nii.gz").geometry


def test_slope_and_intercept(tmp_path):
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    image = nibabel.Nifti1Image(array, OBLIQUE)
    image.header.set_slope_inter(0.5, -100)
    nibabel.save(image, tmp_path / "a.nii")
    data = bytearray((tmp_path / "a.nii").read_bytes())
    data[-48:] = array.tobytes(order="F")  # nibabel divided by the slope on writing
    (tmp_path / "a.nii").write_bytes(bytes(data))
    found = read_image(tmp_path / "a.nii").pixels
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[0], array * 0.5 - 100)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 3), (1, 2, 3)),
        ((2, 3, 1), (1, 2, 3, 1)),
        ((2, 3, 4, 1), (1, 2, 3, 4)),
        ((2, 3, 4, 5), (5, 2, 3, 4)),
        ((2, 3, 4, 1, 3), (3, 2, 3, 4)),
    ],
)
def test_axes_beyond_the_third_are_channels(shape, expected, tmp_path):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found = read_image(save(tmp_path / "a.nii.gz", array))
    assert found.pixels.shape == expected
    last = found.pixels[-1].ravel()[-1]
    assert last == array.max()
    assert read_geometry(tmp_path / "a.nii.gz") == found.geometry


def test_two_such_axes_are_refused(tmp_path):
    with pytest.raises(UnreadableFile, match="Split it first"):
        read_image(save(tmp_path / "a.nii", np.zeros((2, 2, 2, 2, 3), np.uint8)))


def test_rgb_voxels_are_three_channels(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (2, 3, 4, 3), dtype=np.uint8)
    stored = rgb.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    found = read_image(save(tmp_path / "a.nii", stored)).pixels
    np.testing.assert_array_equal(found, np.moveaxis(rgb, -1, 0))


def test_sform_before_qform_before_pixdim(tmp_path):
    other = np.diag([2.0, 3.0, 4.0, 1.0])
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.uint8), OBLIQUE)
    image.header.set_xyzt_units("mm")
    expected = {}
    for name, sform, qform in (("both", 1, 1), ("qform", 0, 1), ("none", 0, 0)):
        image.header.set_sform(OBLIQUE, sform)
        image.header.set_qform(other, qform)
        (tmp_path / f"{name}.nii").write_bytes(
            nibabel.Nifti1Image(image.dataobj, None, image.header).to_bytes()
        )
        expected[name] = read_geometry(tmp_path / f"{name}.nii")
    assert expected["both"].to_patient[0, 0] == pytest.approx(0.9)
    assert expected["qform"].to_patient[0, 0] == pytest.approx(-2)
    assert expected["none"] == Geometry((2, 3, 4), (2.0, 3.0, 4.0), "mm")


def test_a_flat_sform_is_none(tmp_path):
    flat = OBLIQUE.copy()
    flat[:, 2] = 0
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.diag([2.0, 2, 2, 1]))
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = flat[:3]
    image.header["sform_code"], image.header["qform_code"] = 1, 0
    (tmp_path / "a.nii").write_bytes(
        nibabel.Nifti1Image(image.dataobj, None, image.header).to_bytes()
    )
    found = read_geometry(tmp_path / "a.nii")
    assert found.to_patient is None
    assert found.spacing == (2.0, 2.0, 2.0)


LIVER = LabelSet((Label("liver", 1),))
MNI, ALIGNED, ANATOMICAL = 4, 2, 1
MOVED = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 3, -72], [0, 0, 0, 1]])


def scan(path, shape, sform, qform, unit="mm", kind=nibabel.Nifti1Image):
    """A NIfTI file whose affines are declared with these codes; None of both leaves only the spacing."""
    header = kind.header_class()
    header.set_data_shape(shape)
    header.set_zooms((0.7, 0.8, 2.5)[: len(shape)])
    rigid = OBLIQUE.copy()
    rigid[:3, :3] = np.linalg.qr(OBLIQUE[:3, :3])[0] * [0.7, 0.8, 2.5]
    if qform:
        header.set_qform(rigid, qform)
    if sform:
        header.set_sform(rigid, sform)
    header.set_xyzt_units(unit, "sec")
    path.write_bytes(kind(np.zeros(shape, np.int16), None, header).to_bytes())
    return nibabel.load(path)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("unit", ["mm", "unknown", "micron"])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 6)])
@pytest.mark.parametrize(
    ("sform", "qform"), [(MNI, 0), (0, ALIGNED), (MNI, ALIGNED), (ANATOMICAL, MNI), (0, 0)]
)
def test_a_mask_keeps_what_its_image_declares(sform, qform, shape, unit, kind, tmp_path):
    image = scan(tmp_path / "i.nii", shape, sform, qform, unit, kind)
    read = read_image(tmp_path / "i.nii")
    found = Segmentation(np.ones(shape, np.uint8), LIVER, read.geometry)
    write_mask(found, tmp_path / "m.nii.gz", like=tmp_path / "i.nii")
    mask = nibabel.load(tmp_path / "m.nii.gz")
    assert mask.shape == shape
    assert mask.header["sform_code"] == sform
    assert mask.header["qform_code"] == qform
    if kind is nibabel.Nifti1Image:
        np.testing.assert_array_equal(mask.affine, image.affine)
    np.testing.assert_allclose(mask.affine, image.affine, rtol=1e-6, atol=1e-6)
    for get in ("get_sform", "get_qform"):
        ours, theirs = getattr(mask.header, get)(), getattr(image.header, get)()
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    assert mask.header.get_zooms() == pytest.approx(image.header.get_zooms())
    assert mask.header.get_xyzt_units() == (unit, "unknown")
    assert read_geometry(tmp_path / "m.nii.gz") == read.geometry


def test_a_mask_keeps_two_affines_that_disagree(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), None)
    image.set_sform(MOVED, MNI)
    image.set_qform(np.diag([2.0, 2, 3, 1]), ANATOMICAL)
    nibabel.save(image, tmp_path / "i.nii.gz")
    read = read_image(tmp_path / "i.nii.gz")
    (warning,) = read.warnings
    assert warning.startswith("sform and qform disagree, by up to ")
    found = Segmentation(np.ones((4, 5, 6), np.uint8), LIVER, read.geometry)
    write_mask(found, tmp_path / "m.nii.gz", like=tmp_path / "i.nii.gz")
    mask = nibabel.load(tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(mask.get_sform(), MOVED)
    np.testing.assert_array_equal(mask.get_qform(), np.diag([2.0, 2, 3, 1]))


def test_a_mask_of_another_grid_is_written_as_without_its_image(tmp_path):
    scan(tmp_path / "i.nii", (4, 5, 6), MNI, MNI)
    whole = read_image(tmp_path / "i.nii").geometry
    part = Segmentation(np.ones((2, 3, 4), np.uint8), LIVER, whole.cropped((1, 1, 1), (2, 3, 4)))
    write_mask(part, tmp_path / "m.nii", like=tmp_path / "i.nii")
    assert read_geometry(tmp_path / "m.nii") == part.geometry


def test_equal_affines_are_no_warning(tmp_path):
    for sform, qform in ((MNI, ALIGNED), (MNI, 0), (0, MNI), (0, 0)):
        scan(tmp_path / "i.nii", (4, 5, 6), sform, qform)
        assert read_image(tmp_path / "i.nii").warnings == ()


def test_units_other_than_millimetres(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.diag([500.0, 500, 2000, 1]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "a.nii")
    assert read_geometry(tmp_path / "a.nii").spacing == pytest.approx((0.5, 0.5, 2.0))


def test_written_header(tmp_path):
    labels = LabelSet((Label("liver", 1),))
    geometry = Geometry.in_patient((2, 3, 4), np.diag([-1.0, -1, 1, 1]) @ OBLIQUE)
    found = Segmentation(np.ones((2, 3, 4), np.uint16), labels, geometry)
    write_mask(found, tmp_path / "m.nii.gz")
    image = nibabel.load(tmp_path / "m.nii.gz")
    np.testing.assert_allclose(image.affine, OBLIQUE, atol=1e-6)
    assert image.get_data_dtype() == np.uint8
    assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1
    assert image.header.get_xyzt_units()[0] == "mm"
    first = (tmp_path / "m.nii.gz").read_bytes()
    write_mask(found, tmp_path / "m.nii.gz")
    assert (tmp_path / "m.nii.gz").read_bytes() == first


def test_a_slice_of_a_patient_comes_back(tmp_path):
    affine = np.array([[0.5, 0, 3], [0, 0, 4], [0, -0.7, 5], [0, 0, 1]])
    geometry = Geometry.in_patient((4, 5), affine)
    image = Image(np.ones((1, 4, 5), np.int16), geometry)
    write_image(image, tmp_path / "a.nii.gz")
    np.testing.assert_allclose(read_geometry(tmp_path / "a.nii.gz").to_patient, affine, atol=1e-6)
    with pytest.raises(ValueError, match="outside the plane S = 0"):
        write_image(image, tmp_path / "a.mha")


def test_2d_colours_are_refused(tmp_path):
    image = Image(np.ones((3, 4, 5), np.uint8), Geometry.in_pixels((4, 5)))
    with pytest.raises(ValueError, match="2D images of one channel"):
        write_image(image, tmp_path / "a.nii")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_simpleitk_and_nibabel_agree(suffix, tmp_path):
    """The array is NIfTI's in every format, and an index leads to where SimpleITK says it lies."""
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = turn * [0.7, 0.8, 2.5]
    affine[:3, 3] = [-120, 40, -300.5]
    array = np.random.default_rng(0).integers(-1000, 2000, (4, 5, 6)).astype(np.int16)
    image = Image(array[None], Geometry.in_patient(array.shape, affine))
    write_image(image, tmp_path / "a.nii.gz")
    itk = SimpleITK.ReadImage(str(tmp_path / "a.nii.gz"))
    SimpleITK.WriteImage(itk, str(tmp_path / f"b{suffix}"))
    found = read_image(tmp_path / f"b{suffix}")
    np.testing.assert_array_equal(found.pixels, image.pixels)
    np.testing.assert_array_equal(found.pixels, read_image(tmp_path / "a.nii.gz").pixels)
    for index in ((0, 0, 0), (3, 4, 5), (1, 0, 2)):
        point = (found.geometry.to_patient @ [*index, 1])[:3]
        np.testing.assert_allclose(itk.TransformIndexToPhysicalPoint(index), point, atol=1e-4)
        assert itk[index] == found.pixels[0][index]


def test_a_float_mask_of_nibabel_becomes_labels(tmp_path):
    path = save(tmp_path / "m.nii.gz", np.array([[[0, 1, 2.0]]]))
    assert read_mask(path).pixels.dtype == np.uint8


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_long_extension_is_passed_over(tmp_path, ending):
    """TotalSegmentator writes the names of its labels there, some 12 kB."""
    path = tmp_path / f"labelled{ending}"
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.eye(4))
    names = b"<?xml version='1.0'?>" + b"<Label>liver</Label>" * 600
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, names))
    nibabel.save(image, path)
    assert read_geometry(path).shape == (2, 3, 4)
    np.testing.assert_array_equal(read_mask(path).pixels[0], np.asarray(image.dataobj))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("change", [lambda d: d + b"\0", lambda d: d[:-1], lambda d: d + d[352:]])
def test_more_or_fewer_samples_than_declared_are_refused(ending, change, tmp_path):
    path = save(tmp_path / f"a{ending}", np.ones((2, 3, 4), np.int16))
    pack, unpack = (gzip.compress, gzip.decompress) if ending == ".nii.gz" else (bytes, bytes)
    path.write_bytes(pack(change(unpack(path.read_bytes()))))
    for read in (read_image, read_mask):
        with pytest.raises(UnreadableFile, match="declares|again"):
            read(path)


@pytest.mark.parametrize("at", [-1, -5])
def test_a_wrong_checksum_or_length_of_gzip_is_refused(at, tmp_path):
    path = save(tmp_path / "a.nii.gz", np.ones((2, 3, 4), np.uint8))
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UnreadableFile, match="(?i)incorrect length|CRC check"):
        read_mask(path)


@pytest.mark.parametrize("offset", [0, 100, 1e30, np.nan])
def test_samples_that_begin_where_they_cannot_are_refused(offset, tmp_path):
    path = save(tmp_path / "a.nii", np.ones((2, 3, 4), np.uint8))
    data = bytearray(path.read_bytes())
    data[108:112] = np.float32(offset).tobytes()
    path.write_bytes(bytes(data))
    with pytest.raises(UnreadableFile):
        read_image(path)


def test_several_members_of_gzip_are_one_file(tmp_path):
    """As bgzip writes them."""
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    data = nibabel.Nifti1Image(array, np.eye(4)).to_bytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(data[:360]) + gzip.compress(data[360:]))
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz").pixels[0], array)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int64", "float32", ">i2"])
@pytest.mark.parametrize(
    "shape", [(1, 4, 5, 6), (3, 4, 5, 6), (1, 7, 8), (1, 1, 5, 1), (1, 4, 1, 6)]
)
def test_the_bytes_are_those_of_nibabel(ending, order, dtype, shape, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 100, shape).astype(dtype, order=order)
    affine = np.diag([-2.0, -1, 4, 1])
    affine = affine if len(shape) == 4 else np.delete(affine, 2, axis=1)
    write_image(Image(pixels, Geometry.in_patient(shape[1:], affine)), tmp_path / f"a{ending}")
    found = (tmp_path / f"a{ending}").read_bytes()
    samples = pixels[0] if shape[0] == 1 else np.moveaxis(pixels, 0, -1)
    samples = samples.astype(samples.dtype.newbyteorder("="))
    expected = nibabel.Nifti1Image(samples, None, dtype=samples.dtype)
    place = nibabel.load(tmp_path / f"a{ending}").get_sform()
    expected.set_sform(place, 1)
    expected.set_qform(place, 1)
    expected.header.set_xyzt_units("mm")
    plain = gzip.decompress(found) if ending == ".nii.gz" else found
    assert plain == expected.to_bytes()


@pytest.mark.parametrize("order", ["C", "F"])
def test_equal_masks_give_equal_files_that_other_programs_read(order, tmp_path):
    rng = np.random.default_rng(0)
    classes = np.asarray(rng.integers(0, 3, (40, 50, 60)).astype(np.uint8), order=order)
    labels = LabelSet((Label("a", 1), Label("b", 2)))
    mask = Segmentation(classes, labels, Geometry.in_patient(classes.shape, OBLIQUE))
    for name in ("one", "two"):
        write_mask(mask, tmp_path / f"{name}.nii.gz")
    assert (tmp_path / "one.nii.gz").read_bytes() == (tmp_path / "two.nii.gz").read_bytes()
    assert (tmp_path / "one.nii.gz").read_bytes()[4:8] == bytes(4)  # no time
    by_nibabel = np.asanyarray(nibabel.load(tmp_path / "one.nii.gz").dataobj)
    by_itk = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(tmp_path / "one.nii.gz")).T
    for found in (by_nibabel, by_itk, read_mask(tmp_path / "one.nii.gz").pixels[0]):
        np.testing.assert_array_equal(found, classes)


def test_an_image_larger_than_the_pieces_comes_back(tmp_path):
    pixels = np.random.default_rng(0).integers(-1000, 1000, (1, 300, 210, 70)).astype(np.int16)
    write_image(
        Image(pixels, Geometry.in_patient(pixels.shape[1:], OBLIQUE)), tmp_path / "a.nii.gz"
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz").pixels, pixels)
