"""What holds for every surface metric, and the numbers on which tools differ."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import Tally, pool, traits_of
from delineate.metrics._surface_distances import sample_distances, surfel_distances
from delineate.resolve import resolve

LABELS = LabelSet((Label("liver", 1), Label("unsure", 9, "ignore")))
DISTANCES = ("hausdorff", "hd95", "hd95_pooled", "hd95_surfel", "assd")
SHARES = ("nsd", "nsd_voxel")
monai_warns_of_itself = pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
few = settings(max_examples=20, deadline=None)


def segmentation(mask, spacing):
    geometry = Geometry(mask.shape, tuple(float(s) for s in spacing), "mm")
    return Segmentation(mask.astype(np.uint8), LABELS, geometry)


def score(name, prediction, truth, spacing=None, **options):
    spacing = spacing or (1.0,) * prediction.ndim
    pair = segmentation(prediction, spacing), segmentation(truth, spacing)
    return resolve("metrics", name)(*pair, **options)["liver"]


def blobs(shape, seed, sigma=1.5):
    """Two smooth random masks that have something in common."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=shape)
    fields = (gaussian_filter(common + 0.7 * rng.normal(size=shape), sigma) for _ in range(2))
    return tuple(field > np.quantile(field, 0.7) for field in fields)


@st.composite
def pairs(draw):
    shape = draw(st.sampled_from([(9, 14), (24, 31), (6, 9, 11)]))
    spacing = draw(st.sampled_from([(1.0, 1.0, 1.0), (2.5, 0.8, 0.7), (0.3, 5.0, 1.1)]))
    return *blobs(shape, draw(st.integers(0, 2**32 - 1))), spacing[: len(shape)]


def disc_with_a_spur():
    """Found: a disc of radius 20 with a spur 3 wide, 30 beyond its rim. Truth: the disc."""
    y, x = np.indices((128, 128)) - 60
    disc = y**2 + x**2 <= 20**2
    found = disc.copy()
    found[59:62, 60:110] = True
    return found, disc


def shifted_box():
    """Found: a box of 6 x 24 x 24 shifted by (1, 2, 0), and a blob of 1 x 3 x 3 far off. Truth: the box."""
    truth, prediction = np.zeros((2, 12, 64, 64), bool)
    truth[2:8, 20:44, 20:44] = True
    prediction[3:9, 22:46, 20:44] = True
    prediction[4, 60:63, 60:63] = True
    return prediction, truth


# The constants below were measured with MONAI, medpy and DeepMind's surface-distance.


@pytest.mark.parametrize(
    ("name", "expected"), [("hd95", 25.5696), ("hd95_pooled", 22.9718), ("hd95_surfel", 25.0200)]
)
def test_three_definitions_of_hd95_see_a_spur_differently(name, expected):
    assert score(name, *disc_with_a_spur()) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("name", ["hd95", "hd95_pooled", "hd95_surfel"])
def test_a_box_shifted_by_a_thick_slice(name):
    prediction, truth = shifted_box()
    assert score(name, prediction, truth, (5, 0.7, 0.7)) == pytest.approx(5.0)
    assert score("hausdorff", prediction, truth, (5, 0.7, 0.7)) == pytest.approx(18.809, abs=5e-4)


def test_what_the_shifted_box_scores_if_spacing_is_forgotten_or_reversed():
    prediction, truth = shifted_box()
    assert score("hd95", prediction, truth) == pytest.approx(2.0)
    assert score("hd95", prediction, truth, (0.7, 0.7, 5)) == pytest.approx(1.4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("nsd", (0.4265, 0.7547, 0.9702)), ("nsd_voxel", (0.2388, 0.4067, 0.9656))],
)
def test_counting_area_and_counting_samples_differ_where_slices_are_thick(name, expected):
    scores = [score(name, *shifted_box(), (5, 0.7, 0.7), tolerance=mm) for mm in (1.0, 2.0, 5.0)]
    assert scores == pytest.approx(expected, abs=5e-5)


def test_the_edge_of_the_image_is_a_surface():
    # with the edge as foreground, a mask that fills the slices would have no surface at all, and NSD no meaning
    whole = np.ones((4, 12), bool)
    assert score("nsd", whole, whole, tolerance=0.0) == 1
    sides = sample_distances(*(segmentation(whole, (1, 1)) for _ in range(2)))["liver"]
    assert sides[0].distances.size == 2 * 12 + 2 * 2
    cut = whole.copy()
    cut[:, 9:] = False
    assert score("hausdorff", cut, whole) == 3
    assert score("nsd_voxel", cut, whole, tolerance=0.0) == (2 * 9 + 2 + 2 * 9 + 2) / (22 + 28)


@pytest.mark.parametrize("name", DISTANCES + SHARES)
def test_the_empty_rule(name):
    something, nothing = np.zeros((2, 30, 40), bool)
    something[3:9, 5:20] = True
    diagonal = math.hypot(30 * 2.0, 40 * 0.5)
    expected = diagonal if name in DISTANCES else 0
    assert score(name, something, nothing, (2.0, 0.5)) == pytest.approx(expected)
    assert score(name, nothing, something, (2.0, 0.5)) == pytest.approx(expected)
    assert math.isnan(score(name, nothing, nothing, (2.0, 0.5)))


@pytest.mark.parametrize("name", DISTANCES + SHARES)
def test_says_how_to_read_it(name):
    traits = traits_of(resolve("metrics", name))
    assert traits.lower_is_better == (name in DISTANCES)
    assert traits.unit == ("length" if name in DISTANCES else "")
    assert traits.range == (None if name in DISTANCES else (0.0, 1.0))


@few
@given(pairs())
def test_a_pair_turned_round_scores_the_same_and_a_mask_scores_best_on_itself(case):
    prediction, truth, spacing = case
    for name in DISTANCES + SHARES:
        here = score(name, prediction, truth, spacing)
        assert here == pytest.approx(score(name, truth, prediction, spacing))
        assert score(name, truth, truth, spacing) == (0 if name in DISTANCES else 1)


@few
@given(pairs())
def test_flips_and_the_order_of_axes_change_nothing(case):
    prediction, truth, spacing = case
    for name in DISTANCES + SHARES:
        expected = pytest.approx(score(name, prediction, truth, spacing), rel=1e-9)
        for axis in range(prediction.ndim):
            assert score(name, np.flip(prediction, axis), np.flip(truth, axis), spacing) == expected
        for axes in itertools.permutations(range(prediction.ndim)):
            turned = tuple(spacing[a] for a in axes)
            assert (
                score(name, prediction.transpose(axes), truth.transpose(axes), turned) == expected
            )


@few
@given(pairs(), st.sampled_from([0.1, 3.0]))
def test_distances_grow_with_the_spacing_and_shares_with_the_tolerance(case, factor):
    prediction, truth, spacing = case
    scaled = tuple(factor * s for s in spacing)
    for name in DISTANCES:
        expected = factor * score(name, prediction, truth, spacing)
        assert score(name, prediction, truth, scaled) == pytest.approx(expected)
    for name in SHARES:
        expected = score(name, prediction, truth, spacing, tolerance=1.5)
        grown = score(name, prediction, truth, scaled, tolerance=1.5 * factor)
        assert grown == pytest.approx(expected)


@few
@given(pairs())
def test_definitions_are_ordered(case):
    prediction, truth, spacing = case
    hd = score("hausdorff", prediction, truth, spacing)
    for name in ("hd95", "hd95_pooled", "assd"):
        assert 0 <= score(name, prediction, truth, spacing) <= hd
    for name in SHARES:
        tolerances = sorted((0.0, 1.0, 2.0, hd))
        shares = [score(name, prediction, truth, spacing, tolerance=t) for t in tolerances]
        assert shares == sorted(shares)
    assert score("nsd_voxel", prediction, truth, spacing, tolerance=hd) == 1


@few
@given(pairs())
def test_agrees_with_distance_transforms_of_the_whole_grid(case):
    prediction, truth, spacing = case
    masks = [np.pad(mask, 1) for mask in (prediction, truth)]
    border = [mask & ~binary_erosion(mask) for mask in masks]
    there = distance_transform_edt(~border[1], sampling=spacing)[border[0]]
    back = distance_transform_edt(~border[0], sampling=spacing)[border[1]]
    both = np.concatenate([there, back])
    expected = {
        "hausdorff": both.max(),
        "hd95": max(np.percentile(there, 95), np.percentile(back, 95)),
        "hd95_pooled": np.percentile(both, 95),
        "assd": both.mean(),
        "nsd_voxel": (both <= 2).mean(),
    }
    for name, value in expected.items():
        assert score(name, prediction, truth, spacing) == pytest.approx(value)


CASES = [
    ((40, 50), (1.0, 1.0)),
    ((40, 50), (2.5, 0.7)),
    ((12, 24, 26), (1.0, 1.0, 1.0)),
    ((12, 24, 26), (2.5, 0.8, 0.7)),
]


@pytest.fixture(scope="module")
def monai():
    import torch
    from monai import metrics

    torch.set_num_threads(1)

    def measure(name, prediction, truth, *args, **options):
        masks = (torch.from_numpy(mask)[None, None] for mask in (prediction, truth))
        return float(getattr(metrics, name)(*masks, *args, include_background=True, **options))

    return measure


@monai_warns_of_itself
@pytest.mark.parametrize("edge", [False, True])
@pytest.mark.parametrize(("shape", "spacing"), CASES)
def test_agrees_with_monai(monai, shape, spacing, edge):
    prediction, truth = blobs(shape, seed=4)
    assert prediction[0].any()  # masks that are cut by the edge of the image
    if not edge:
        prediction, truth = np.pad(prediction, 2), np.pad(truth, 2)
    pair = prediction, truth
    expected = {
        "hausdorff": monai("compute_hausdorff_distance", *pair, spacing=spacing),
        "hd95": monai("compute_hausdorff_distance", *pair, percentile=95, spacing=spacing),
        "assd": monai("compute_average_surface_distance", *pair, symmetric=True, spacing=spacing),
    }
    for name, value in expected.items():
        assert score(name, *pair, spacing) == pytest.approx(value, rel=3e-6)  # MONAI: float32
    for tolerance in (0.0, 0.8, 1.0330772532, 2.0, 2.5):
        for name, subvoxels in (("nsd_voxel", False), ("nsd", True)):
            value = monai(
                "compute_surface_dice", *pair, [tolerance], spacing=spacing, use_subvoxels=subvoxels
            )
            assert score(name, *pair, spacing, tolerance=tolerance) == pytest.approx(
                value, abs=2e-7
            )


@monai_warns_of_itself
@pytest.mark.parametrize(("shape", "spacing"), CASES)
def test_hd95_surfel_agrees_with_the_elements_of_monai(shape, spacing):
    import torch
    from monai.metrics.utils import get_edge_surface_distance

    prediction, truth = blobs(shape, seed=5)
    edges, distances, areas = get_edge_surface_distance(
        *(torch.from_numpy(mask) for mask in (prediction, truth)),
        spacing=spacing,
        use_subvoxels=True,
        symmetric=True,
    )
    reached = []
    for edge, distance, area in zip(edges, distances, areas, strict=True):
        weights = area[edge].double()
        order = torch.argsort(distance)
        share = torch.cumsum(weights[order], 0) / weights.sum()
        reached.append(float(distance[order][torch.searchsorted(share, 0.95)]))
    assert score("hd95_surfel", prediction, truth, spacing) == pytest.approx(max(reached), rel=1e-6)


@pytest.mark.parametrize("shape", [(40, 50), (12, 24, 26)])
def test_agrees_with_scikit_image(shape):
    from skimage.metrics import hausdorff_distance

    prediction, truth = blobs(shape, seed=6)
    border = [np.pad(m, 1) & ~binary_erosion(np.pad(m, 1)) for m in (prediction, truth)]
    assert score("hausdorff", prediction, truth) == pytest.approx(hausdorff_distance(*border))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.8, 0.8)])
def test_concentric_balls_lie_as_far_apart_as_their_radii(spacing):
    shape = tuple(int(50 / s) for s in spacing)
    places = (np.indices(shape).T - (np.array(shape) - 1) / 2) * spacing
    radius = np.sqrt((places**2).sum(axis=-1)).T
    inner, outer = radius <= 14, radius <= 20
    for name in DISTANCES:
        assert score(name, inner, outer, spacing) == pytest.approx(6, abs=max(spacing))
    assert score("nsd", inner, outer, spacing, tolerance=8.5) == 1
    assert score("nsd", inner, outer, spacing, tolerance=3.5) == 0


def test_boxes_shifted_along_an_axis():
    truth, prediction = np.zeros((2, 30, 40), bool)
    truth[5:15, 5:15] = True
    prediction[5:15, 9:19] = True
    for name in DISTANCES:
        if name != "assd":
            assert score(name, prediction, truth, (3.0, 0.5)) == pytest.approx(2.0)
    assert score("hausdorff", prediction, truth, (0.5, 3.0)) == pytest.approx(4 * 3.0)


def test_a_tolerance_is_inclusive_also_where_binary_rounds():
    truth, prediction = np.zeros((2, 8, 20), bool)
    truth[3:5, 4:6] = True
    prediction[3:5, 7:9] = True  # 0.1 mm three times is more than 0.3 in binary
    for name in SHARES:
        spacing = (0.1, 0.1)
        assert score(name, prediction, truth, spacing, tolerance=0.3) == 1
        assert score(name, prediction, truth, spacing, tolerance=0.299) < 1


@pytest.mark.parametrize("tolerance", [1.0330772532, 1.1328796489, 1.1498198361])
def test_the_tolerances_of_kits(tolerance):
    prediction, truth = shifted_box()
    share = score("nsd", prediction, truth, (5, 0.7, 0.7), tolerance=tolerance)
    assert share == score("nsd", prediction, truth, (5, 0.7, 0.7), tolerance=1.0)


@pytest.mark.parametrize("tolerance", [-1.0, math.inf, math.nan])
@pytest.mark.parametrize("name", SHARES)
def test_a_tolerance_that_is_no_distance_is_refused(name, tolerance):
    mask = np.ones((3, 3), bool)
    with pytest.raises(ValueError, match="expected a distance of 0 or more"):
        score(name, mask, mask, tolerance=tolerance)


@pytest.mark.parametrize("name", SHARES)
def test_cases_are_pooled_by_their_surface(name):
    small, large = np.zeros((2, 60, 60), bool)
    small[2:4, 2:4] = True
    large[10:50, 10:50] = True
    tallies = [score(name, small, np.roll(small, 20, 1)), score(name, large, large)]
    assert all(isinstance(tally, Tally) for tally in tallies)
    assert tallies == [0, 1]
    parts = [tally.parts[1] for tally in tallies]
    assert pool(tallies) == pytest.approx(parts[1] / sum(parts))


def test_what_the_truth_ignores_is_nobodys_surface():
    truth, prediction = np.zeros((2, 20, 20), np.uint8)
    truth[5:10, 5:10] = prediction[5:10, 5:10] = 1
    truth[12:, 12:] = 9
    prediction[14:18, 14:18] = 1
    pair = (
        Segmentation(classes, LABELS, Geometry.in_pixels(classes.shape))
        for classes in (prediction, truth)
    )
    assert resolve("metrics", "hausdorff")(*pair) == {"liver": 0.0}


def test_surfaces_are_measured_once_per_pair_and_inputs_are_left_alone():
    prediction, truth = (segmentation(mask, (1, 1)) for mask in blobs((30, 30), seed=1))
    before = prediction.classes.copy()
    assert sample_distances(prediction, truth) is sample_distances(prediction, truth)
    assert surfel_distances(prediction, truth) is surfel_distances(prediction, truth)
    assert surfel_distances(truth, prediction) is not surfel_distances(prediction, truth)
    assert (prediction.classes == before).all()


def test_one_sample_and_flat_masks_have_surfaces():
    for shape in [(1, 1), (1, 9), (7, 1), (1, 1, 1), (1, 5, 6)]:
        mask = np.ones(shape, bool)
        for name in DISTANCES + SHARES:
            assert score(name, mask, mask) == (0 if name in DISTANCES else 1)
