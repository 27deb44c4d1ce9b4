"""A 2D network on every slice of a volume."""

from dataclasses import replace

import numpy as np
import pytest

from delineate.core import Case, Geometry, Image, Label, LabelSet, Output
from delineate.inference import CasePredictor, by_slices
from delineate.inference import slices as module
from delineate.inference.fingerprint import Fingerprint, Measures
from delineate.inference.wrappers.slicewise import slicewise
from delineate.prepare import Slices, load_prepare
from delineate.resolve import Call
from delineate.tasks import load_task


def blurred(pixels):
    """A 2D network whose two channels depend on the position in the slice and on the neighbours."""
    rows = np.cumsum(pixels, axis=2)
    return Output(np.stack([rows[:, 0], pixels[:, -1]], axis=1))


@pytest.mark.parametrize("neighbours", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_is_what_the_slices_are_one_by_one(axis, neighbours, monkeypatch):
    volume = np.random.default_rng(0).normal(size=(1, 2, 5, 6, 7)).astype(np.float32)
    slices = Slices((axis,), neighbours)
    expected = []
    for index in range(volume.shape[2 + axis]):
        slab = slices.slab(volume[0], axis, index)
        flat = np.concatenate([slab[:, i] for i in range(slab.shape[1])])
        expected.append(blurred(flat[None]).logits[0])
    expected = np.stack(expected, 1 + axis)
    for together in (1, 2**18):  # one slice or all in a call
        monkeypatch.setattr(module, "PIXELS", together)
        found = by_slices(blurred, slices)(volume).logits
        assert found.shape == (1, 2, 5, 6, 7)
        assert np.array_equal(found[0], expected)


def test_the_logits_are_the_mean_over_the_axes():
    volume = np.random.default_rng(1).normal(size=(1, 1, 4, 4, 4)).astype(np.float32)
    alone = [by_slices(blurred, Slices((axis,)))(volume).logits for axis in range(3)]
    both = by_slices(blurred, Slices((0, 1, 2)))(volume).logits
    assert np.allclose(both, np.mean(alone, axis=0), atol=1e-6)


def test_a_network_without_dense_logits_is_refused():
    def network(pixels):
        return Output(image=np.zeros((len(pixels), 1)))

    with pytest.raises(ValueError, match="slices need a network with dense logits only"):
        by_slices(network, Slices())(np.zeros((1, 1, 2, 3, 4), np.float32))


LABELS = LabelSet((Label("a", 1),))


def of_images(seen):
    """A predictor of 2D images that keeps what it is given; its network says where values are high."""

    def network(pixels):
        seen.append(pixels)
        return Output(20 * (pixels - 0.5))

    return CasePredictor(load_prepare([]), network, load_task(Call("semantic"), LABELS))


@pytest.mark.parametrize("view", ["axial", "coronal", "sagittal"])
def test_slices_are_seen_as_they_are_usually_displayed(view):
    # a volume in RAS: ones at the patient's left, front and feet
    pixels = np.zeros((1, 4, 6, 8), np.float32)
    pixels[:, 0], pixels[:, :, -1], pixels[..., 0] = 1, 1, 1
    to_patient = np.diag([-1.0, -1, 1, 1])
    image = Image(pixels, Geometry.in_patient((4, 6, 8), to_patient))
    seen = []
    found = slicewise(of_images(seen), view)(Case.of_image(image))
    assert np.array_equal(found.classes, pixels[0] > 0.5)
    slices = {"axial": 8, "coronal": 6, "sagittal": 4}[view]
    assert len(seen) == slices
    middle = seen[slices // 2][0, 0]
    rows, columns = middle.mean(axis=1), middle.mean(axis=0)
    # axial: front above, left on the right; coronal: feet below, left on the right; sagittal: front on the left
    assert rows[0 if view == "axial" else -1] == 1
    assert columns[0 if view == "sagittal" else -1] == 1


def test_how_slices_differ_is_told_once():
    random = np.random.default_rng(0)

    def measured(value):
        pixels = (value * random.random((1, 16, 16))).astype(np.float32)
        grid = Geometry.in_pixels((16, 16))
        return Measures.of(Image(pixels, grid), pixels, grid)

    known = replace(of_images([]), fingerprint=Fingerprint.of([measured(1) for _ in range(20)]))
    pixels = random.random((1, 12, 16, 16), np.float32)
    stack = Case.of_image(Image(pixels.copy(), Geometry.in_pixels((12, 16, 16))))
    assert slicewise(known)(stack).unlike_training == ()
    pixels[:, 3:8] *= 50 + np.arange(5)[:, None, None]
    stack = Case.of_image(Image(pixels, Geometry.in_pixels((12, 16, 16))))
    (how,) = slicewise(known)(stack).unlike_training
    assert how.startswith("5 of 12 slices differ, one of them: values ")


def test_a_stack_of_unknown_orientation_is_cut_along_its_first_axis_and_an_image_is_an_image():
    seen = []
    predictor = slicewise(of_images(seen))
    pixels = np.random.default_rng(0).random((1, 3, 4, 5), np.float32)
    stack = Image(pixels, Geometry.in_pixels((3, 4, 5)))
    assert np.array_equal(predictor(Case.of_image(stack)).classes, pixels[0] > 0.5)
    assert [s.shape for s in seen] == [(1, 1, 4, 5)] * 3
    image = Image(pixels[:, 0], Geometry.in_pixels((4, 5)))
    assert np.array_equal(predictor(Case.of_image(image)).classes, pixels[0, 0] > 0.5)
