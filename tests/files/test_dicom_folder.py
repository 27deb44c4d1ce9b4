"""Which images a folder of DICOM files holds, how they are named, and what their masks are called."""

import subprocess
import sys

import numpy as np
import pytest

from delineate.core import Label, LabelSet, Segmentation
from delineate.files import (
    UnreadableFile,
    data_files,
    folder_images,
    is_image_folder,
    mask_suffix,
    patient_id,
    read_geometry,
    read_image,
    write_mask,
)

VOLUME = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
RADIOGRAPH = {
    "Modality": "CR",
    "ImagePositionPatient": None,
    "ImageOrientationPatient": None,
    "RescaleSlope": None,
    "RescaleIntercept": None,
}


def found(folder):
    return [(image.path, image.name, len(image.files)) for image in folder_images(folder)[0]]


def test_a_folder_with_one_series_is_one_image(write_series, tmp_path):
    series = write_series(tmp_path / "ct", VOLUME)
    assert found(series) == [(series, "", 4)]
    assert is_image_folder(series)
    assert found(tmp_path) == []
    assert not is_image_folder(tmp_path)


def test_several_series_in_a_folder_are_read_by_their_uid(write_series, tmp_path):
    write_series(tmp_path, VOLUME, SeriesDescription="arterial", name="a{}")
    write_series(tmp_path, VOLUME[:3] + 1, uid="1.2.4", SeriesNumber=7, name="b{}")
    assert found(tmp_path) == [
        (tmp_path / "1.2.3", "arterial", 4),
        (tmp_path / "1.2.4", "series 7", 3),
    ]
    with pytest.raises(UnreadableFile, match=r"holds 2 series: .*or name one as <folder>/1\.2\.3"):
        read_image(tmp_path)
    for uid, volume in (("1.2.3", VOLUME), ("1.2.4", VOLUME[:3] + 1)):
        assert is_image_folder(tmp_path / uid)
        np.testing.assert_array_equal(read_image(tmp_path / uid).pixels[0], volume)
        assert read_geometry(tmp_path / uid).shape == volume.shape
        assert len(data_files(tmp_path / uid)) == len(volume)
        assert mask_suffix(tmp_path / uid) == ".nii.gz"
    with pytest.raises(UnreadableFile, match=r"no such series; .* has 1\.2\.3, 1\.2\.4"):
        read_image(tmp_path / "1.2.5")
    with pytest.raises(UnreadableFile, match="no such file"):
        read_image(tmp_path / "a9")


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_the_name_of_a_series_leads_to_no_other_place(write_series, tmp_path):
    write_series(tmp_path / "other", VOLUME)
    write_series(tmp_path / "ct", VOLUME, uid="../other", name="a{}")
    write_series(tmp_path / "ct", VOLUME, uid="1.2.4", name="b{}")
    paths = [path for path, _, _ in found(tmp_path / "ct")]
    assert paths == [tmp_path / "ct", tmp_path / "ct" / "1.2.4"]
    with pytest.raises(UnreadableFile, match="holds 2 series"):
        read_image(paths[0])
    (tmp_path / "ct" / "1.2.4").mkdir()
    assert found(tmp_path / "ct")[1][0] == tmp_path / "ct"


def test_radiographs_and_single_slices_are_images_of_their_own(write_series, tmp_path):
    for i in range(3):
        write_series(tmp_path, VOLUME[i : i + 1], uid=f"1.2.{i}", name=f"{i}.dcm", **RADIOGRAPH)
    write_series(tmp_path, VOLUME[:2], uid="1.3", name="views{}", **RADIOGRAPH)  # of one series
    write_series(tmp_path, VOLUME[:1], uid="1.4", name="slice{}")
    names = ["0.dcm", "1.dcm", "2.dcm", "slice0", "views0", "views1"]
    assert found(tmp_path) == [(tmp_path / name, "", 1) for name in names]
    assert {mask_suffix(tmp_path / name) for name in names} == {".png"}


def test_localizers_and_other_objects_are_left_out(write_series, tmp_path):
    write_series(tmp_path, VOLUME, name="a{}", SeriesDescription="axial")
    write_series(
        tmp_path,
        VOLUME[:1],
        uid="1.5",
        name="scout",
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
    )
    write_series(tmp_path, VOLUME[:1], uid="1.6", name="seg", Modality="SEG")
    (tmp_path / "notes.txt").write_text("no image")
    images, files = folder_images(tmp_path)
    assert [(i.path, i.name) for i in images] == [(tmp_path / "1.2.3", "axial")]
    assert len(files) == 6


def test_a_broken_file_is_an_image_of_its_own_and_the_series_beside_it_is_refused(
    write_series, tmp_path
):
    write_series(tmp_path, VOLUME)
    (tmp_path / "x.dcm").write_bytes((tmp_path / "000.dcm").read_bytes()[:200])
    assert [path.name for path, _, _ in found(tmp_path)] == ["1.2.3", "x.dcm"]
    with pytest.raises(UnreadableFile, match=r"x\.dcm"):
        read_image(tmp_path / "1.2.3")
    assert mask_suffix(tmp_path / "x.dcm") == ".png"


def test_a_multi_frame_file_gets_a_nifti_mask(real_data):
    file = real_data / "dicom_zoo" / "tiny_series_23x38x3" / "multiframe" / "mf.dcm"
    assert found(file.parent)[0] == (file, "", 1)
    assert read_geometry(file).ndim == 3
    assert mask_suffix(file) == ".nii.gz"


def test_the_patient_of_a_file_is_read_and_a_damaged_file_has_none(make_slice, tmp_path):
    path, cut = tmp_path / "a", tmp_path / "cut"
    make_slice(VOLUME[0], PatientID="someone").save_as(path, enforce_file_format=True)
    assert patient_id(path) == patient_id(str(path)) == "someone"
    for end in range(0, 600, 7):
        cut.write_bytes(path.read_bytes()[:end])
        assert patient_id(cut) in ("", "someone")
    make_slice(VOLUME[0], PatientID=None).save_as(path, enforce_file_format=True)
    assert patient_id(path) == ""
    assert patient_id(tmp_path) == patient_id(tmp_path / "none") == ""


OBLIQUE = (0.98480775, 0.17364818, 0.0, -0.17101007, 0.96984631, -0.17364818)


@pytest.mark.parametrize(
    "orientation", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), (-1, 0, 0, 0, 1, 0), OBLIQUE]
)
def test_the_mask_of_a_series_lies_where_the_series_lies(orientation, write_series, tmp_path):
    """Against SimpleITK, which reads a series right if nothing is wrong with it."""
    import SimpleITK as itk

    series = write_series(
        tmp_path / "ct",
        VOLUME,
        spacing=(2.5, 0.7, 0.9),
        origin=(-121.5, 33.25, 808.125),
        orientation=orientation,
    )
    image = read_image(series)
    labels = LabelSet((Label("liver", 1),))
    classes = (image.pixels[0] % 3 == 0).astype(np.uint8)
    mask = tmp_path / "found.nii.gz"
    write_mask(Segmentation(classes, labels, image.geometry), mask, like=series)
    assert mask_suffix(series) == ".nii.gz"
    back = read_geometry(mask)
    assert image.geometry.to_patient is not None
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in VOLUME.shape])).reshape(3, -1)
    ends = np.vstack([ends, np.ones(8)])
    columns_first = ends[[2, 1, 0, 3]]
    there = image.geometry.to_patient @ ends
    np.testing.assert_allclose(back.to_patient @ columns_first, there, atol=1e-4)
    reader = itk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series)))
    theirs, ours = reader.Execute(), itk.ReadImage(str(mask))
    where = np.array(np.nonzero(classes)).T[::3]
    for index in where:
        i, j, k = (int(n) for n in index)
        here = image.geometry.to_patient[:3] @ [i, j, k, 1]
        value = theirs.TransformPhysicalPointToIndex(here.tolist())
        assert theirs[value] == image.pixels[0, i, j, k]
        np.testing.assert_allclose(theirs.TransformIndexToPhysicalPoint(value), here, atol=1e-4)
        assert ours[ours.TransformPhysicalPointToIndex(here.tolist())] == 1


def test_without_pydicom_every_door_says_how_to_install_it(write_series, tmp_path):
    series = write_series(tmp_path / "ct", VOLUME)
    program = f"""\
import sys
sys.modules["pydicom"] = None
from delineate import cases_of
from delineate.files import data_files, read_geometry, read_image, read_mask, series_in
for path in ({str(series)!r}, {str(series / "000.dcm")!r}):
    for read in (read_image, read_mask, read_geometry, cases_of, series_in, data_files):
        if path.endswith(".dcm") and read in (cases_of, series_in, data_files):
            continue
        try:
            read(path)
        except ValueError as error:
            assert 'pip install "delineate[dicom]"' in str(error), (read, error)
            assert path in str(error), (read, error)
            assert len(str(error).splitlines()) == 1, error
        else:
            raise AssertionError(read)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_nothing_else_imports_pydicom():
    program = "import sys, delineate.files, delineate.cli, delineate.data; assert 'pydicom' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
