import numpy as np
import pytest

from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
from delineate.evaluation.report import overlay
from delineate.evaluation.report._planes import GROUND, _areas, planes
from delineate.files import read_image, read_mask

LABELS = LabelSet((Label("liver", 1, colour="#00ff00"), Label("kidney", 2, colour="#ff0000")))


def body(order=(0, 1, 2), flips=(False, False, False), spacing=(1.0, 2.0, 4.0)):
    """A volume whose array axes run to L, P and S until it is turned; the liver is right, front and high."""
    classes = np.zeros((40, 20, 10), np.uint8)
    classes[5:15, 2:8, 6:9] = 1
    classes[28:32, 13:16, 6:8] = 2
    geometry = Geometry.in_patient(classes.shape, np.diag([*spacing, 1.0])).reordered(order, flips)
    classes = np.flip(classes.transpose(order), [i for i, flip in enumerate(flips) if flip])
    pixels = np.where(classes, 200, 50).astype(np.uint8)
    return Image(pixels[None], geometry), Segmentation(classes, LABELS, geometry)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True), (True, True, True)])
def test_planes_are_radiological_whatever_the_order_of_the_array(order, flips):
    image, found = body(order, flips)
    axial, coronal, sagittal = planes(image, [found])
    assert [cut.name for cut in (axial, coronal, sagittal)] == ["axial", "coronal", "sagittal"]
    assert [cut.ends for cut in (axial, coronal, sagittal)] == ["APRL", "HFRL", "HFAP"]
    for cut in (axial, coronal, sagittal):  # high or in front, and right or in front
        rows, columns = np.nonzero(cut.maps[0] == 1)
        height, width = cut.maps[0].shape
        assert rows.mean() < height / 2
        assert columns.mean() < width / 2
    kidney = np.nonzero(axial.maps[0] == 2)
    assert kidney[0].mean() > axial.maps[0].shape[0] / 2  # behind
    assert kidney[1].mean() > axial.maps[0].shape[1] / 2  # the patient's left, on the right


def test_all_planes_have_one_scale_in_mm():
    axial, coronal, sagittal = planes(*(lambda image, found: (image, [found]))(*body()))
    height, width = axial.picture.shape[:2]
    assert height == pytest.approx(width, abs=1)  # 40 mm each
    assert coronal.picture.shape[:2] == (height, width) == sagittal.picture.shape[:2]
    assert 400 <= max(height, width) <= 768
    for cut in (axial, coronal, sagittal):
        assert cut.maps[0].shape == cut.picture.shape[:2]


def test_slices_go_through_all_labels_so_that_a_small_one_is_seen_too():
    image, found = body()
    axial, coronal, sagittal = planes(image, [found])
    assert set(np.unique(axial.maps[0])) == {0, 1, 2}
    for cut in (coronal, sagittal):
        assert cut.maps[0].any()
    nothing = Segmentation(np.zeros_like(found.classes), LABELS, found.geometry)
    assert planes(image, [nothing])[0].lines == (210, 205)  # the middle
    assert set(np.unique(planes(image, [nothing, found])[0].maps[1])) == {0, 1, 2}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("step", [1, -1])
def test_areas_are_those_of_every_slice(order, step):
    mask = np.random.default_rng(0).random((5, 6, 7)).transpose(order)[::step] > 0.8
    for axis, found in enumerate(_areas(mask)):
        others = tuple(other for other in range(3) if other != axis)
        np.testing.assert_array_equal(found, mask.sum(axis=others))


def test_lines_say_where_the_other_planes_cut():
    image, found = body()
    axial, coronal, sagittal = planes(image, [found])
    assert axial.lines[1] == coronal.lines[1]  # the sagittal plane
    assert axial.lines[0] == sagittal.lines[1]  # the coronal plane
    assert coronal.lines[0] == sagittal.lines[0]  # the axial plane
    assert (axial.maps[0][:, axial.lines[1]] > 0).any()


def test_hounsfield_units_are_shown_in_the_soft_tissue_window():
    image, found = body()
    values = np.where(found.classes, 60.0, -1000.0)
    values[0, 0, 0] = 3000  # metal
    cut = planes(Image(values[None].astype(np.int16), image.geometry), [found])[0]
    assert np.median(cut.picture[cut.maps[0] == 1]) == round((60 + 150) / 400 * 255)
    assert cut.picture.min() == 0
    values = np.where(found.classes, 900.0, 100.0)  # MR
    cut = planes(Image(values[None].astype(np.int16), image.geometry), [found])[0]
    assert np.median(cut.picture[cut.maps[0] == 1]) == 255
    assert np.median(cut.picture[cut.maps[0] == 0]) == 0


def test_the_picture_has_three_panels_and_a_legend():
    image, found = body()
    drawn = overlay(image, found)
    assert drawn.dtype == np.uint8
    shown = (drawn != GROUND).any(axis=-1)
    panels = np.flatnonzero(np.diff(shown[len(drawn) // 2 - 40].astype(int)))
    assert len(panels) >= 6
    legend = drawn[-30:].reshape(-1, 3)
    for label in LABELS:
        assert (legend == label.rgb).all(axis=-1).any()
    assert not (legend == (255, 255, 255)).all(axis=-1).any()
    both = overlay(image, found, found)[-30:].reshape(-1, 3)
    assert (both == (255, 255, 255)).all(axis=-1).any()


def test_a_label_that_is_not_in_the_picture_is_not_in_the_legend():
    image, found = body()
    only = Segmentation(np.where(found.classes == 1, 1, 0).astype(np.uint8), LABELS, found.geometry)
    legend = overlay(image, only)[-30:].reshape(-1, 3)
    assert not (legend == LABELS["kidney"].rgb).all(axis=-1).any()


def test_many_labels_get_several_rows():
    many = LabelSet(tuple(Label(f"structure number {i}", i) for i in range(1, 61)))
    classes = (np.arange(20 * 20 * 20).reshape(20, 20, 20) % 61).astype(np.uint8)
    grid = Geometry((20, 20, 20), (1.0, 1.0, 1.0), "mm")
    few = Segmentation(np.minimum(classes, 2), many, grid)
    image = Image(classes[None], grid)
    more = overlay(image, Segmentation(classes, many, grid)).shape[0]
    assert more > overlay(image, few).shape[0] + 24 * 5


def test_unknown_axes_of_the_patient_are_not_named():
    image, found = body()
    grid = Geometry(image.geometry.shape, image.geometry.spacing, "mm")
    cuts = planes(Image(image.pixels, grid), [Segmentation(found.classes, LABELS, grid)])
    assert {cut.name + cut.ends for cut in cuts} == {""}
    assert cuts[0].maps[0].any()
    assert overlay(Image(image.pixels, grid), Segmentation(found.classes, LABELS, grid)).any()


def test_the_liver_of_a_real_ct_is_on_the_left_and_the_left_kidney_on_the_right(real_data):
    folder = real_data / "abdomen_ct_totalseg"
    names = ("liver", "spleen", "left kidney", "right kidney", "bowel")
    labels = LabelSet(tuple(Label(name, i) for i, name in enumerate(names, start=1)))
    image = read_image(folder / "images" / "ct_a.nii.gz")
    classes = read_mask(folder / "masks_rsna5" / "ct_a.nii.gz").pixels[0].astype(np.uint8)
    for cut in planes(image, [Segmentation(classes, labels, image.geometry)])[:2]:
        middle = cut.maps[0].shape[1] / 2
        assert (
            np.nonzero(cut.maps[0] == 1)[1].mean() < middle < np.nonzero(cut.maps[0] == 2)[1].mean()
        )
        assert (
            np.nonzero(cut.maps[0] == 4)[1].mean() < middle < np.nonzero(cut.maps[0] == 3)[1].mean()
        )
