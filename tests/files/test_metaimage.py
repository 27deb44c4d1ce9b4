import numpy as np
import pytest
import SimpleITK

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.files import UnreadableFile, read_geometry, read_image, write_mask


def write(path, array, *, vector=False, **geometry):
    image = SimpleITK.GetImageFromArray(array, isVector=vector)
    for key, value in geometry.items():
        getattr(image, f"Set{key}")(value)
    SimpleITK.WriteImage(image, str(path))
    return path


def test_a_2d_scan_keeps_its_place(tmp_path):
    array = np.arange(6, dtype=np.uint16).reshape(2, 3)
    path = write(tmp_path / "a.mha", array, Spacing=(0.2, 0.3), Origin=(5.0, -6.0))
    found = read_image(path)
    np.testing.assert_array_equal(found.pixels[0], array.T)
    assert found.geometry.spacing == (0.2, 0.3)
    np.testing.assert_allclose(found.geometry.to_patient[:, 2], [5, -6, 0, 1])
    labels = LabelSet((Label("lung", 1),))
    truth = Segmentation(np.ones((3, 2), np.uint8), labels, found.geometry)
    write_mask(truth, tmp_path / "m.mha")
    image = SimpleITK.ReadImage(str(tmp_path / "m.mha"))
    assert image.GetOrigin() == (5.0, -6.0)
    assert image.GetDimension() == 2


def test_components_and_times_are_channels(tmp_path):
    array = np.random.default_rng(0).integers(0, 99, (4, 5, 6, 3), dtype=np.int16)
    found = read_image(write(tmp_path / "a.mha", array, vector=True))
    np.testing.assert_array_equal(found.pixels, array.T)
    times = read_image(write(tmp_path / "b.mha", array, vector=False))
    np.testing.assert_array_equal(times.pixels, array.transpose(0, 3, 2, 1))
    assert times.geometry.shape == (3, 6, 5)
    both = np.zeros((2, 4, 5, 6, 3), np.uint8)
    with pytest.raises(UnreadableFile, match="Split it first"):
        read_image(write(tmp_path / "c.mha", both, vector=True))


def test_an_mhd_is_read_with_its_pixels_elsewhere_and_written_whole(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    write(tmp_path / "a.mhd", array)
    assert (tmp_path / "a.raw").exists()
    np.testing.assert_array_equal(read_image(tmp_path / "a.mhd").pixels[0], array.T)
    (tmp_path / "a.raw").unlink()
    with pytest.raises(UnreadableFile, match=r"a\.mhd"):
        read_image(tmp_path / "a.mhd")
    labels = LabelSet((Label("lung", 1),))
    geometry = Geometry((4, 3, 2), (1.0, 2.0, 3.0), "mm")
    write_mask(Segmentation(array.T % 2, labels, geometry), tmp_path / "new" / "m.mhd")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["m.mhd"]
    again = SimpleITK.ReadImage(str(tmp_path / "new" / "m.mhd"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(again), array % 2)
    assert read_geometry(tmp_path / "new" / "m.mhd").spacing == (1.0, 2.0, 3.0)


def test_a_failure_of_itk_is_an_oserror(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise RuntimeError("ITK ERROR:\nwrite failed: disk full")

    monkeypatch.setattr(SimpleITK, "WriteImage", full)
    truth = Segmentation(
        np.ones((2, 2), np.uint8), LabelSet((Label("a", 1),)), Geometry.in_pixels((2, 2))
    )
    with pytest.raises(OSError, match="disk full"):
        write_mask(truth, tmp_path / "m.mha")
    assert not list(tmp_path.iterdir())
