"""Areas of surface elements, against marching cubes, closed forms and DeepMind's table as MONAI holds it."""

import itertools

import numpy as np
import pytest
from skimage.measure import marching_cubes, mesh_surface_area

from delineate.metrics._surface_distances import surfel_areas, surfel_codes

SPACINGS = [(1.0, 1.0), (2.5, 0.7), (1.0, 1.0, 1.0), (5.0, 0.7, 0.7), (0.3, 0.7, 2.0)]


def neighbourhood(code, ndim):
    return np.array([code >> i & 1 for i in range(2**ndim)], bool).reshape((2,) * ndim)


def surface(mask, spacing):
    return surfel_areas(spacing)[surfel_codes(np.pad(mask, 1))].sum()


@pytest.mark.parametrize("ndim", [2, 3])
def test_codes_name_the_samples_of_a_neighbourhood(ndim):
    for code in range(2**2**ndim):
        assert surfel_codes(neighbourhood(code, ndim)).ravel() == [code]


@pytest.mark.parametrize("spacing", SPACINGS)
def test_areas_are_those_of_deepmind(spacing):
    from monai.metrics.utils import get_code_to_measure_table

    table, kernel = get_code_to_measure_table(spacing)
    kernel = np.squeeze(kernel.numpy()).astype(int)
    places = [
        int((kernel * neighbourhood(code, len(spacing))).sum())
        for code in range(2**2 ** len(spacing))
    ]
    np.testing.assert_allclose(surfel_areas(spacing), table.numpy()[places], rtol=1e-6)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_areas_are_the_same_inside_out_flipped_and_turned(spacing):
    ndim = len(spacing)
    areas = surfel_areas(spacing)
    np.testing.assert_allclose(areas, areas[::-1])
    for axes in itertools.permutations(range(ndim)):
        turned = surfel_areas(tuple(spacing[axis] for axis in axes))
        for code in range(len(areas)):
            cube = neighbourhood(code, ndim)
            assert turned[surfel_codes(cube.transpose(axes)).item()] == pytest.approx(areas[code])
            for axis in range(ndim):
                assert areas[surfel_codes(np.flip(cube, axis)).item()] == pytest.approx(areas[code])


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.8, 0.7)])
def test_areas_are_those_of_marching_cubes_around_the_smaller_side(spacing):
    for code in range(1, 255):
        if code.bit_count() <= 4:
            cube = neighbourhood(code, 3).astype(float)
            vertices, faces, *_ = marching_cubes(cube, 0.5, spacing=spacing, method="lorensen")
            area = mesh_surface_area(vertices, faces)
            assert surfel_areas(spacing)[code] == pytest.approx(area, rel=1e-5)


def test_a_face_has_the_area_of_a_face():
    assert surfel_areas((5.0, 0.7, 0.6))[0b00001111] == pytest.approx(0.7 * 0.6)
    assert surfel_areas((5.0, 0.7, 0.6))[0b00110011] == pytest.approx(5.0 * 0.6)
    assert surfel_areas((5.0, 0.7, 0.6))[0b01010101] == pytest.approx(5.0 * 0.7)
    assert surfel_areas((5.0, 0.7))[0b0011] == pytest.approx(0.7)
    assert surfel_areas((5.0, 0.7))[0b0001] == pytest.approx(np.hypot(5.0, 0.7) / 2)


def test_a_box_has_the_area_of_a_box_with_its_edges_bevelled():
    spacing, shape = (2.0, 0.5), (20, 30)
    straight = 2 * (19 * 2.0 + 29 * 0.5)
    assert surface(np.ones(shape, bool), spacing) == pytest.approx(
        straight + 4 * np.hypot(2.0, 0.5) / 2
    )


def test_a_ball_has_9_percent_more_than_the_area_of_a_ball():
    # a surface in steps of a sample does not flatten out however fine the samples are (Lindblad, 2005)
    places = np.indices((45, 45, 45)) - 22.3
    assert surface((places**2).sum(axis=0) <= 20**2, (1.0, 1.0, 1.0)) == pytest.approx(
        1.089 * 4 * np.pi * 20**2, rel=2e-3
    )
