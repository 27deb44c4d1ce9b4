"""The awkward containers of the real packs read to the right answer, or to the right refusal."""

import json

import numpy as np
import PIL.Image
import pytest

from delineate.files import UnreadableFile, read_geometry, read_image, read_mask

REFUSED = {
    "truncated": "cannot be decoded",
    "zerobyte": "is empty",
    "textfile": "web page",
}


@pytest.fixture(scope="module")
def oddities(real_data):
    folder = real_data / "oddities"
    if not folder.is_dir():
        pytest.skip("the pack oddities is not among the real images")
    return folder


@pytest.fixture(scope="module")
def entries(oddities):
    return json.loads((oddities / "truth.json").read_text(encoding="utf-8"))


def test_every_image_reads_on_the_grid_of_its_header(oddities, entries):
    for entry in entries["images"]:
        if entry["image"] is None:
            continue
        path = oddities / entry["image"]
        if entry["id"] in REFUSED:
            with pytest.raises(UnreadableFile, match=REFUSED[entry["id"]]) as raised:
                read_image(path)
            assert str(path) in str(raised.value)
            continue
        image = read_image(path)
        assert image.channels in (1, 3), entry["id"]
        assert image.geometry == read_geometry(path), entry["id"]
        if entry["truth"] and entry["id"] != "maskbigger":
            with PIL.Image.open(oddities / entry["truth"]) as truth:
                assert image.geometry.shape == truth.size[::-1], entry["id"]


def test_every_index_mask_is_its_truth(oddities, entries):
    """All but those that need colours or a threshold, which is the work of `data`."""
    others = {"palette_shuffled", "colourjpeg", "jpegmask"}
    checked = 0
    for entry in entries["images"]:
        if entry["mask"] is None or entry["truth"] is None or entry["id"] in others:
            continue
        found = read_mask(oddities / entry["mask"])
        with PIL.Image.open(oddities / entry["truth"]) as picture:
            truth = np.asarray(picture)
        values = found.pixels.max(axis=0)  # of a coloured mask, the red one
        if values.max() > 5:
            values = values > 127
        np.testing.assert_array_equal(values, truth, err_msg=entry["id"])
        checked += 1
    assert checked >= 20


def test_shuffled_palette_tells_by_its_colours(oddities):
    path = oddities / "masks" / "palette_shuffled.png"
    assert set(np.unique(read_mask(path).pixels)) <= {2, 5, 9}
    red, green, _ = read_image(path).pixels
    with PIL.Image.open(oddities / "truth_masks" / "palette_shuffled.png") as truth:
        np.testing.assert_array_equal((red > 127) + 2 * (green > 127), np.asarray(truth))


def test_depth_and_units(oddities):
    images = oddities / "images"
    assert read_image(images / "grey16.png").pixels.max() == 4067
    sixteen = read_image(images / "ct16.png")
    hounsfield = read_image(images / "ctfloat.tif")
    assert (sixteen.pixels.dtype, hounsfield.pixels.dtype) == (np.uint16, np.float32)
    difference = sixteen.pixels.astype(np.float32) - 1024 - hounsfield.pixels
    assert np.abs(difference).max() <= 4  # the 16-bit file cannot go below -1024


@pytest.mark.parametrize(
    "name", ["cmyk.jpg", "progressive.JPG", "jp2.jp2", "webp.webp", "giftiff.tif"]
)
def test_containers_show_what_pillow_shows(name, oddities):
    with PIL.Image.open(oddities / "images" / name) as picture:
        expected = np.asarray(picture.convert("RGB"))
    found = read_image(oddities / "images" / name).pixels
    np.testing.assert_array_equal(np.moveaxis(found, 0, -1), expected)


def test_volumes(oddities):
    folder = oddities / "nifti"
    assert (np.diag(read_geometry(folder / "lps_image.nii.gz").to_patient)[:3] > 0).all()
    slope = read_image(folder / "slope_image.nii.gz").pixels
    assert (slope.dtype, slope.min(), slope.max()) == (np.float32, -100, 1900)
    assert read_mask(folder / "slope_mask.nii.gz").pixels.dtype == np.uint8
    assert read_image(folder / "sing4d_image.nii.gz").pixels.shape == (1, 33, 53, 28)
    assert np.isfinite(read_image(folder / "nan_image.nii.gz").pixels).all()
    assert read_image(folder / "oneslice_image.nii.gz").geometry.shape == (34, 52, 1)
    oblique = read_geometry(folder / "oblique_image.nii.gz")
    np.testing.assert_allclose(oblique.spacing, 1, atol=1e-6)
    assert np.count_nonzero(oblique.to_patient[:3, :3]) > 3
    with pytest.raises(UnreadableFile, match=r"truncated_image.*end-of-stream"):
        read_image(folder / "truncated_image.nii.gz")


def test_image_and_mask_of_a_volume_share_a_grid(oddities):
    folder = oddities / "nifti"
    for name in ("lps", "slope", "sing4d", "nan", "oneslice", "oblique"):
        image = read_geometry(folder / f"{name}_image.nii.gz")
        assert image == read_geometry(folder / f"{name}_mask.nii.gz"), name
    for name in ("shifted", "shape", "mixed"):
        image = read_geometry(folder / f"{name}_image.nii.gz")
        assert image != read_geometry(folder / f"{name}_mask.nii.gz"), name
