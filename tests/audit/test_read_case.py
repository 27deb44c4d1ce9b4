"""What is read from files that are odd."""

from functools import partial

import nibabel
import numpy as np
import pytest

from delineate.audit._read_case import read_case
from delineate.core import Case, Geometry, Image, Label, LabelSet, Segmentation
from delineate.data._masks import read_truth
from delineate.data._values import mask_values
from delineate.files import read_image

TWO = LabelSet((Label("first", 1), Label("second", 2)))
SHAPE = (20, 24, 30)


@pytest.fixture
def scan(tmp_path):
    """A case of two NIfTI files, made of arrays and affines."""

    def make(name, pixels, mask, affine=None, mask_affine=None, qform=None):
        files = tmp_path / f"{name}.nii.gz", tmp_path / f"{name}_mask.nii.gz"
        affine = np.diag([1.0, 1, 2, 1]) if affine is None else affine
        for path, array, to in zip(files, (pixels, mask), (affine, mask_affine), strict=True):
            image = nibabel.Nifti1Image(array, affine if to is None else to)
            image.set_sform(affine if to is None else to, 1)
            image.set_qform(image.affine if qform is None else qform, 1)
            nibabel.save(image, path)
        truth = partial(read_truth, *files, mask_values(TWO))
        return Case(name, name, partial(read_image, files[0]), truth, files[:1], files[1:])

    return make


@pytest.fixture
def body():
    random = np.random.default_rng(0)
    pixels = random.normal(size=SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, np.uint8)
    mask[3:9, 4:10, 5:15], mask[12:16, 12:16, 20:24] = 1, 2
    return pixels, mask


def test_facts_of_a_volume(scan, body):
    facts = read_case(scan("a", *body), "train")
    assert facts.problems == ()
    assert facts.image.shape == SHAPE
    assert facts.image.spacing == pytest.approx((1, 1, 2))
    assert [len(axis) for axis in facts.image.slices] == list(SHAPE)
    assert len(facts.image.look) == 3
    assert facts.truth.objects == {"first": (360,), "second": (64,)}
    assert facts.sizes("first") == pytest.approx([720])
    assert facts.image.quantiles[0][0] == body[0].min()
    assert facts.image.quantiles[0][-1] == body[0].max()


def test_one_body_stored_in_two_ways_has_one_digest(scan, body):
    plain = read_case(scan("a", *body), "train")
    flipped = np.diag([-1.0, 1, 2, 1])
    flipped[0, 3] = SHAPE[0] - 1
    turned = read_case(scan("b", body[0][::-1].astype(np.float64), body[1][::-1], flipped), "train")
    assert turned.image.pixels == plain.image.pixels
    assert turned.image.slices == plain.image.slices
    part = scan("c", body[0][:, :, 8:20], body[1][:, :, 8:20])
    assert read_case(part, "train").image.slices[2] == plain.image.slices[2][8:20]


def test_nan_floats_and_two_affines(scan, body):
    pixels = body[0].copy()
    pixels[:2, 0, 0] = np.nan, np.inf
    other = np.diag([1.0, 1, 2, 1])
    other[0, 3] = 5
    facts = read_case(scan("a", pixels, body[1].astype(np.float32), qform=other), "train")
    assert facts.image.not_finite == 2
    assert facts.mask.dtype == "float32"
    assert facts.two_places == pytest.approx(2.5)
    sheared = np.diag([1.0, 1, 2, 1])
    sheared[0, 1] = 0.2
    assert read_case(scan("b", *body, affine=sheared, qform=np.eye(4)), "train").image.skew > 0.1


def test_grids_that_differ_are_told_from_values_that_are_unknown(scan, body):
    moved = np.diag([1.0, 1, 2, 1])
    moved[2, 3] = 8
    for name, mask, affine, kind in (
        ("moved", body[1], moved, "misplaced"),
        ("short", body[1][:, :, :-2], None, "misaligned"),
        ("strange", body[1] * 3, None, "values"),
        ("negative", body[1].astype(np.int16) * -1, None, "unreadable"),
        ("half", body[1] * 0.5, None, "unreadable"),
    ):
        facts = read_case(scan(name, body[0], mask, mask_affine=affine), "train")
        assert [problem.kind for problem in facts.problems] == [kind], name
        assert facts.truth is None
        assert facts.image is not None


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_side_of_organs_is_where_they_lie_in_the_patient(mirrored):
    labels = LabelSet((Label("kidney_left", 1), Label("kidney_right", 2), Label("liver", 3)))
    classes = np.zeros((4, 10), np.uint8)
    classes[1:3, 7:9], classes[1:3, 1:3], classes[0] = 1, 2, 3
    to_patient = np.array([[0, -2.0 if mirrored else 2.0, 5], [3, 0, 0], [0, 0, 0], [0, 0, 1]])
    grid = Geometry.in_patient((4, 10), to_patient)
    truth = Segmentation(classes, labels, grid)
    image = Image(np.zeros((1, 4, 10), np.uint8), grid)
    found = read_case(Case("a", "a", lambda: image, lambda: truth), "train").truth.lateral
    expected = {"kidney_left": 5 + 7.5 * 2, "kidney_right": 5 + 1.5 * 2}
    if mirrored:
        expected = {name: 10 - x for name, x in expected.items()}
    assert found == pytest.approx(expected)
    bare = Segmentation(classes, labels, Geometry.in_pixels((4, 10)))
    plain = Image(image.pixels, bare.geometry)
    assert not read_case(Case("a", "a", lambda: plain, lambda: bare), "train").truth.lateral
