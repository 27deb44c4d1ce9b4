"""A folder with one DICOM series: which become a volume, and which are refused, each with its words."""

import os
import shutil

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import JPEG2000Lossless, RLELossless

from delineate.files import (
    UnreadableFile,
    by_content,
    data_files,
    is_image_folder,
    read_geometry,
    read_image,
    series_in,
)
from delineate.resolve import resolve

VOLUME = np.random.default_rng(0).integers(0, 2000, (6, 5, 4)).astype(np.int16)


def changed(folder, name, **attributes):
    """Change attributes of a written slice; None removes one."""
    one = pydicom.dcmread(folder / name)
    for keyword, value in attributes.items():
        if value is None:
            delattr(one, keyword)
        else:
            setattr(one, keyword, value)
    one.save_as(folder / name)


def refused(folder):
    """The words of the refusal, the same for pixels, geometry and files."""
    with pytest.raises(UnreadableFile) as raised:
        read_image(folder)
    words = str(raised.value)
    assert words.startswith(f"{folder}: ")
    for read in (read_geometry, data_files):
        with pytest.raises(UnreadableFile) as again:
            read(folder)
        assert str(again.value) == words
    assert "\n" not in words
    assert words.endswith(".")
    return words.removeprefix(f"{folder}: ")


def test_a_series_is_a_volume_in_order_along_its_normal(make_series, tmp_path):
    names = ["f", "b.dcm", "e.ima", "a", "d", "c"]
    make_series(tmp_path / "ct", VOLUME, names=names)
    (tmp_path / "ct" / "notes.txt").write_text("not DICOM")
    (tmp_path / "ct" / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "ct" / ".hidden.dcm").write_bytes(b"")
    (tmp_path / "ct" / "below").mkdir()
    found = read_image(tmp_path / "ct")
    np.testing.assert_array_equal(found.pixels[0], VOLUME - 1024)
    assert found.pixels.dtype == np.int16
    assert found.warnings == ()
    assert found.geometry == read_geometry(tmp_path / "ct")
    expected = [[0, 0, 0.75, 1], [0, 0.5, 0, 2], [5, 0, 0, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(found.geometry.to_patient, expected, atol=1e-9)
    assert found.geometry.spacing == pytest.approx((5, 0.5, 0.75))
    assert data_files(tmp_path / "ct") == tuple(tmp_path / "ct" / name for name in names)
    assert by_content(tmp_path / "ct") is resolve("formats", "dicom")
    assert is_image_folder(tmp_path / "ct")
    assert not is_image_folder(tmp_path)
    assert not is_image_folder(tmp_path / "ct" / "f")
    assert not is_image_folder(tmp_path / "none")


def turned(axes, flips):
    """Direction cosines of slices, rows and columns: axes of the patient, some of them reversed."""
    return [np.eye(3)[axis] * (-1 if flip else 1) for axis, flip in zip(axes, flips, strict=True)]


@settings(max_examples=60, deadline=None)
@given(
    axes=st.permutations([0, 1, 2]),
    flips=st.tuples(*[st.booleans()] * 3),
    order=st.permutations(list(range(6))),
    angle=st.floats(-0.6, 0.6),
    spacing=st.tuples(*[st.floats(0.3, 7)] * 3),
)
def test_any_orientation_and_file_order_give_the_same_volume(
    axes, flips, order, angle, spacing, make_series, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("series")
    c, s = np.cos(angle), np.sin(angle)
    oblique = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ [[1, 0, 0], [0, c, -s], [0, s, c]]
    _, down, across = (oblique @ d for d in turned(axes, flips))
    normal = np.cross(across, down)
    make_series(
        folder,
        VOLUME,
        step=normal * spacing[0],
        names=[f"{i}.dcm" for i in order],
        ImageOrientationPatient=[float(f"{x:.9g}") for x in (*across, *down)],
        PixelSpacing=[float(f"{x:.9g}") for x in spacing[1:]],
    )
    found = read_image(folder)
    np.testing.assert_array_equal(found.pixels[0], VOLUME - 1024)
    expected = np.column_stack(
        [normal * spacing[0], down * spacing[1], across * spacing[2], (1, 2, 3)]
    )
    np.testing.assert_allclose(found.geometry.to_patient[:3], expected, atol=1e-4)
    assert found.geometry == read_geometry(folder)
    assert [path.name for path in data_files(folder)] == [f"{i}.dcm" for i in order]


def test_slices_against_the_normal_come_in_order_along_it(make_series, tmp_path):
    make_series(tmp_path, VOLUME, step=(0, 0, -5))
    np.testing.assert_array_equal(read_image(tmp_path).pixels[0], VOLUME[::-1] - 1024)


def test_the_instance_number_does_not_count(make_series, tmp_path):
    written = make_series(tmp_path, VOLUME)
    for index, name in enumerate(written):
        changed(tmp_path, name, InstanceNumber=100 - index)
    np.testing.assert_array_equal(read_image(tmp_path).pixels[0], VOLUME - 1024)


def test_each_slice_has_its_own_rescale(make_series, tmp_path):
    make_series(tmp_path, VOLUME)
    changed(tmp_path, "02.dcm", RescaleIntercept=-24, RescaleSlope=2)
    expected = VOLUME.astype(int) - 1024
    expected[2] = VOLUME[2].astype(int) * 2 - 24
    found = read_image(tmp_path).pixels[0]
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, expected)
    changed(tmp_path, "04.dcm", RescaleSlope=0.5)
    expected = expected.astype(float)
    expected[4] = VOLUME[4] * 0.5 - 1024
    found = read_image(tmp_path).pixels[0]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_values_beyond_16_bits_become_real_numbers_from_any_slice_on(make_series, tmp_path):
    make_series(tmp_path, VOLUME)
    changed(tmp_path, "03.dcm", RescaleIntercept=32000)
    found = read_image(tmp_path).pixels[0]
    assert found.dtype == np.float32
    expected = VOLUME.astype(int) - 1024
    expected[3] += 33024
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_a_compressed_series_gives_the_same_volume(syntax, make_series, tmp_path):
    volume = np.kron(VOLUME, np.ones((1, 8, 8), np.int16))
    make_series(tmp_path, volume, syntax=syntax)
    np.testing.assert_array_equal(read_image(tmp_path).pixels[0], volume - 1024)


def test_a_copy_of_a_slice_is_dropped(make_series, tmp_path):
    make_series(tmp_path, VOLUME)
    shutil.copy(tmp_path / "02.dcm", tmp_path / "02 (copy).dcm")
    np.testing.assert_array_equal(read_image(tmp_path).pixels[0], VOLUME - 1024)
    assert len(data_files(tmp_path)) == len(VOLUME)


def test_one_instance_uid_for_all_slices_is_no_copy(make_series, tmp_path):
    """Some tools that remove identities give all slices one UID."""
    for name in make_series(tmp_path, VOLUME):
        changed(tmp_path, name, SOPInstanceUID="1.2.3")
    np.testing.assert_array_equal(read_image(tmp_path).pixels[0], VOLUME - 1024)


def test_a_single_slice_is_a_volume_of_its_thickness(make_series, tmp_path):
    make_series(tmp_path, VOLUME[:1])
    assert read_image(tmp_path).pixels.shape == (1, 1, 5, 4)
    assert read_geometry(tmp_path).spacing == pytest.approx((5, 0.5, 0.75))
    changed(tmp_path, "00.dcm", SliceThickness=None)
    assert read_image(tmp_path).pixels.shape == (1, 5, 4)


def test_objects_that_are_not_images_are_left_out(make_series, make_slice, tmp_path):
    make_series(tmp_path, VOLUME)
    report = make_slice(VOLUME[0], Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33")
    del report.PixelData, report.Rows
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read_image(tmp_path).pixels[0], VOLUME - 1024)
    for path in data_files(tmp_path):
        path.unlink()
    assert refused(tmp_path).startswith("has no image: its file report.dcm is a report (SR)")


def test_series_are_listed(make_series, tmp_path):
    make_series(tmp_path, VOLUME)
    make_series(
        tmp_path, VOLUME[:2], names=["x", "y"], SeriesInstanceUID="1.2.4", SeriesDescription="scout"
    )
    one, other = series_in(tmp_path)
    assert (one.uid, one.description, one.modality, len(one.files)) == (
        "1.2.3.1",
        "portal",
        "CT",
        6,
    )
    assert (other.uid, other.description) == ("1.2.4", "scout")
    assert other.files == (tmp_path / "x", tmp_path / "y")
    with pytest.raises(UnreadableFile, match="without DICOM"):
        series_in(tmp_path.parent)


# Faults


def missing(folder, make_series):
    os.remove(folder / "03.dcm")


def several_missing(folder, make_series):
    for name in ("01.dcm", "02.dcm"):
        os.remove(folder / name)


def uneven(folder, make_series):
    changed(folder, "05.dcm", ImagePositionPatient=[1, 2, 29.7])


def tilted(folder, make_series):
    make_series(folder, VOLUME, step=(0, 1.5, 5))


def shifted(folder, make_series):
    changed(folder, "04.dcm", ImagePositionPatient=[3, 2, 23])


def localizer(folder, make_series):
    changed(
        folder,
        "00.dcm",
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
    )


def duplicate(folder, make_series):
    changed(folder, "05.dcm", ImagePositionPatient=[1, 2, 18])


def truncated(folder, make_series):
    path = folder / "05.dcm"
    path.write_bytes(path.read_bytes()[:-9])


def cut_header(folder, make_series):
    path = folder / "05.dcm"
    path.write_bytes(path.read_bytes()[:500])


def emptied(folder, make_series):
    (folder / "05.dcm").write_bytes(b"")


def patients(folder, make_series):
    changed(folder, "05.dcm", PatientID="someone")


def other_series(folder, make_series):
    make_series(
        folder,
        VOLUME[:2],
        names=["x", "y"],
        SeriesInstanceUID="1.2.4",
        SeriesDescription="arterial",
    )


def rows(folder, make_series):
    make_series(folder, [*VOLUME[:5], VOLUME[5, :4]])


def orientation(folder, make_series):
    changed(folder, "05.dcm", ImageOrientationPatient=[1, 0, 0, 0, 0.9998, 0.02])


def other_spacing(folder, make_series):
    changed(folder, "05.dcm", PixelSpacing=[0.5, 0.8])


def frame_of_reference(folder, make_series):
    changed(folder, "05.dcm", FrameOfReferenceUID="1.2.9")


def oblique(folder, make_series):
    make_series(folder, VOLUME, ImageOrientationPatient=[1, 0, 0, 0.1, 1, 0])


def echoes(folder, make_series):
    make_series(folder, VOLUME, Modality="MR", EchoTime=2.3)
    make_series(folder, VOLUME + 1, names=[f"e{i}" for i in range(6)], Modality="MR", EchoTime=4.6)


def times(folder, make_series):
    make_series(folder, VOLUME, TemporalPositionIdentifier=1)
    make_series(folder, VOLUME + 1, names=[f"t{i}" for i in range(6)], TemporalPositionIdentifier=2)


def colour(folder, make_series):
    make_series(folder, np.zeros((3, 5, 4, 3), np.uint8), names=["00.dcm", "01.dcm", "02.dcm"])


def unplaced(folder, make_series):
    changed(folder, "05.dcm", ImagePositionPatient=None)


def several_unplaced(folder, make_series):
    for name in ("04.dcm", "05.dcm"):
        changed(folder, name, ImagePositionPatient=None)


def inverted(folder, make_series):
    make_series(folder, VOLUME, Modality="MR")
    changed(folder, "05.dcm", PhotometricInterpretation="MONOCHROME1")


def other_modality(folder, make_series):
    changed(folder, "05.dcm", Modality="MR")


def derived(folder, make_series):
    changed(folder, "05.dcm", ImageType=["DERIVED", "SECONDARY", "REFORMATTED"])


def without_rescale(folder, make_series):
    changed(folder, "05.dcm", RescaleSlope=None, RescaleIntercept=None)


def with_table(folder, make_series):
    table = pydicom.Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [2, 0, 16], "HU"
    table.add_new("LUTData", "US", [0, 1])
    changed(folder, "05.dcm", ModalityLUTSequence=[table])


def rounded(folder, make_series):
    make_series(folder, VOLUME, step=(0, 0, 0.625))
    for index in range(6):
        changed(folder, f"{index:02}.dcm", ImagePositionPatient=[1, 2, round(3 + 0.625 * index, 1)])


def without_pixels(folder, make_series):
    changed(folder, "05.dcm", PixelData=None)


FAULTS = {
    missing: "misses 1 of 6 slices, at 18 mm along the normal: 02.dcm and 04.dcm are 10 mm apart, the others 5 mm. "
    "Copy or export the whole series again.",
    several_missing: "misses 2 of 6 slices, at 8, 13 mm along the normal: 00.dcm and 03.dcm are 15 mm apart",
    uneven: "has unevenly spaced slices, 5 to 6.7 mm apart; 04.dcm and 05.dcm are 6.7 mm apart.",
    tilted: "was taken with a tilted gantry: each slice is shifted by 1.5 mm against the one before, an angle of 16.7 "
    "degrees",
    shifted: "has slices that are shifted against each other: 03.dcm and 04.dcm by 2 mm.",
    localizer: "1 of its 6 images is a localizer: 00.dcm.",
    duplicate: "has 6 images at 5 positions: 03.dcm and 05.dcm are both at (1, 2, 18) mm.",
    truncated: "holds 31 bytes of pixels in 05.dcm, but its header declares 40.",
    cut_header: "its file 05.dcm is DICOM without pixels",
    emptied: "its file 05.dcm is empty (0 bytes), and may be a slice.",
    patients: "1 of its 6 images differs from the others in patient (PatientID): 05.dcm. Move it to another folder.",
    other_series: "holds 2 series: CT 'portal', 6 files, from 00.dcm; CT 'arterial', 2 files, from x. Put each series "
    "in a folder of its own, or name one as <folder>/1.2.",
    rows: "1 of its 6 images differs from the others in Rows x Columns (4 x 4 instead of 5 x 4): 05.dcm.",
    orientation: "1 of its 6 images differs from the others in orientation: 05.dcm.",
    other_spacing: "1 of its 6 images differs from the others in PixelSpacing (0.5 x 0.8 mm instead of 0.5 x "
    "0.75 mm): 05.dcm.",
    frame_of_reference: "1 of its 6 images differs from the others in frame of reference: 05.dcm.",
    oblique: "has ImageOrientationPatient [1.0, 0.0, 0.0, 0.1, 1.0, 0.0] in 00.dcm; expected two unit vectors at right "
    "angles.",
    echoes: "has 12 images at 6 positions: 00.dcm and e0 are both at (1, 2, 3) mm, which differ in EchoTime (2.3 and "
    "4.6).",
    times: "has 12 images at 6 positions: 00.dcm and t0 are both at (1, 2, 3) mm, which differ in "
    "TemporalPositionIdentifier (1 and 2).",
    colour: "holds 3 colour images, which are not a volume",
    unplaced: "holds 6 images, and 05.dcm has no position in the patient",
    several_unplaced: "holds 6 images, and 04.dcm, 05.dcm have no position in the patient",
    inverted: "1 of its 6 images differs from the others in PhotometricInterpretation (MONOCHROME1 instead of "
    "MONOCHROME2): 05.dcm. Move it to another folder.",
    other_modality: "1 of its 6 images differs from the others in Modality (MR instead of CT): 05.dcm.",
    derived: "1 of its 6 images differs from the others in ImageType (DERIVED instead of ORIGINAL): 05.dcm.",
    without_rescale: "1 of its 6 images differs from the others in RescaleSlope or RescaleIntercept (absent instead of "
    "present): 05.dcm.",
    with_table: "1 of its 6 images differs from the others in ModalityLUTSequence (present instead of absent): 05.dcm.",
    rounded: "has unevenly spaced slices, 0.6 to 0.7 mm apart; 02.dcm and 03.dcm are 0.7 mm apart. Its positions have "
    "1 decimal, and may be rounded. Copy or export the whole series again",
    without_pixels: "its file 05.dcm is DICOM without pixels (CT Image Storage, modality CT).",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_faulty_series_is_refused_in_words(fault, make_series, tmp_path):
    folder = tmp_path / "ct"
    if fault is not colour:
        make_series(folder, VOLUME)
    fault(folder, make_series)
    words = refused(folder)
    assert words.startswith(FAULTS[fault]), words
    assert "someone" not in words  # no identity of a patient is said


def test_an_empty_file_of_another_program_does_not_count(make_series, tmp_path):
    make_series(tmp_path, VOLUME)
    for name in ("Thumbs.db", "notes.txt", "preview.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert read_image(tmp_path).pixels.shape == (1, *VOLUME.shape)
    for name in ("06.DCM", "06.ima", "IM6", "1.2.3.9.7"):
        (tmp_path / name).write_bytes(b"")
        assert refused(tmp_path).startswith(f"its file {name} is empty (0 bytes)")
        os.remove(tmp_path / name)


def test_a_file_that_is_not_dicom_stops_only_the_series_that_it_may_belong_to(
    make_series, tmp_path
):
    make_series(tmp_path, VOLUME)
    make_series(tmp_path, VOLUME[:2], names=["x", "y"], SeriesInstanceUID="1.2.44")
    junk = tmp_path / "z.dcm"
    junk.write_bytes(b"no image")
    shapes = {"1.2.3.1": VOLUME.shape, "1.2.44": VOLUME[:2].shape}
    for uid, shape in shapes.items():
        assert read_image(tmp_path / uid).pixels.shape == (1, *shape)
    assert refused(tmp_path).startswith("its file z.dcm is not DICOM, and may be a slice.")
    junk.write_bytes((tmp_path / "x").read_bytes()[132:])  # has lost its mark
    assert read_image(tmp_path / "1.2.3.1").pixels.shape == (1, *VOLUME.shape)
    assert refused(tmp_path / "1.2.44").startswith("its file z.dcm is not DICOM")
    junk.write_bytes((tmp_path / "x").read_bytes()[:200])  # of one of them
    for uid in shapes:
        assert refused(tmp_path / uid).startswith("its file z.dcm is DICOM without")


def test_positions_are_even_within_a_hundredth(make_series, tmp_path):
    make_series(tmp_path, VOLUME)
    changed(tmp_path, "03.dcm", ImagePositionPatient=[1, 2, 18.04])
    assert read_geometry(tmp_path).spacing[0] == pytest.approx(5)
    changed(tmp_path, "03.dcm", ImagePositionPatient=[1, 2, 18.06])
    assert refused(tmp_path).startswith("has unevenly spaced slices")
