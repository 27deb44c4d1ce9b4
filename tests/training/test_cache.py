import errno
import os
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import SimpleITK as itk

from delineate.core import Case, Geometry, Image, Instance, Label, LabelSet, Segmentation
from delineate.data.folder import folder
from delineate.files import read_image
from delineate.prepare import Slices, load_prepare
from delineate.resolve import Call
from delineate.training import cache
from delineate.training.cache import PreparedCases, SlicesOfCases

LABELS = LabelSet((Label("polyp", 1),))
CALLS = (Call("resize", {"shape": [8, 10]}), Call("standardize", {"by": "imagenet"}))


def truth():
    return Segmentation(np.ones((20, 30), np.uint8), LABELS, Geometry.in_pixels((20, 30)))


@pytest.fixture
def case(tmp_path):
    path = tmp_path / "a.png"
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    cv2.imwrite(str(path), pixels)
    return Case("a", "a", partial(read_image, path), truth, (path,))


def prepared(case, folder, calls=CALLS):
    return PreparedCases([case], LABELS, load_prepare(calls), calls, folder)


def test_what_is_kept_is_what_was_prepared(case, tmp_path):
    kept = prepared(case, tmp_path / "cache")
    for _ in range(2):  # written, then mapped
        pixels, found = kept[0]
        classes = found.classes
        assert pixels.dtype == np.uint8
        assert np.array_equal(pixels, load_prepare(CALLS).fixed(case.image).pixels)
        assert classes.shape == (8, 10)
    assert isinstance(classes, np.memmap)
    assert kept.fill().tolist() == [[True]]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_another_file_or_another_step_is_another_entry(case, tmp_path):
    folder = tmp_path / "cache"
    prepared(case, folder).fill()
    other = (Call("resize", {"shape": [8, 12]}), *CALLS[1:])
    assert prepared(case, folder, other)[0][1].classes.shape == (8, 12)
    cv2.imwrite(str(case.files[0]), np.zeros((20, 30, 3), np.uint8))
    os.utime(case.files[0], ns=(1, 1))
    assert prepared(case, folder)[0][0].max() == 0
    assert len(list(folder.iterdir())) == 3


def test_another_way_of_reading_is_another_entry(case, tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    prepared(case, folder).fill()
    monkeypatch.setattr("delineate.training.cache.READING", -1)
    prepared(case, folder).fill()
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("which", ["image", "mask"])
def test_another_data_file_below_the_same_header_is_another_entry(tmp_path, which):
    values = np.zeros((10, 20, 30), np.uint8)
    for name in ("image", "mask"):
        (tmp_path / name).mkdir()
        itk.WriteImage(itk.GetImageFromArray(values + 1), tmp_path / name / "a.mhd", False)
    given = {"root": str(tmp_path), "images": "image/*.mhd", "masks": "mask/*.mhd"}
    recipe = {"labels": LABELS, "folder": tmp_path, "seed": 0, "split": {"train": 1.0}}
    calls = (Call("standardize", {"by": "image"}),)

    def kept():
        (case,) = folder(**recipe, **given)["train"]
        pixels, found = prepared(case, tmp_path / "cache", calls)[0]
        return pixels.max(), found.classes.max()

    assert kept() == (1, 1)
    data = tmp_path / which / "a.raw"
    data.write_bytes(bytes(data.stat().st_size))  # corrected: nothing there
    os.utime(data, ns=(1, 1))
    assert kept() == ((0, 1) if which == "image" else (1, 0))


def test_without_a_folder_cases_stay_in_memory(case, tmp_path):
    kept = prepared(case, None)
    assert kept[0] is kept[0]
    assert not list(tmp_path.glob("cache"))


def test_a_full_disk_says_what_to_do_and_leaves_nothing(case, tmp_path, monkeypatch):
    def full(file, array):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache.np, "save", full)
    with pytest.raises(OSError, match=r"No space left.*DELINEATE_CACHE.*trainer.cache=false"):
        prepared(case, tmp_path / "cache").fill()
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_cases_that_differ_in_channels_are_named(case, tmp_path):
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.zeros((20, 30), np.uint8))
    grey = Case("grey", "grey", partial(read_image, path), truth, (path,))
    both = PreparedCases([case, grey], LABELS, load_prepare(CALLS), CALLS, None)
    with pytest.raises(ValueError, match="grey has 1 channels when prepared, a has 3"):
        both.fill()


def test_a_case_without_truth_is_named(tmp_path):
    with pytest.raises(ValueError, match="b: no truth"):
        prepared(Case("b", "b", lambda: None), None).fill()


@pytest.mark.parametrize("name", [cache.PIXELS, cache.CLASSES])
@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_a_truncated_entry_is_made_again(case, tmp_path, name, kept):
    folder = tmp_path / "cache"
    prepared(case, folder).fill()
    (file,) = folder.rglob(name)
    whole = file.read_bytes()
    file.write_bytes(whole[:kept])
    again = prepared(case, folder)
    assert again.fill().tolist() == [[True]]
    assert np.array_equal(again[0][0], load_prepare(CALLS).fixed(case.image).pixels)
    assert file.read_bytes() == whole


def test_an_entry_whose_arrays_do_not_belong_together_is_made_again(case, tmp_path):
    folder = tmp_path / "cache"
    prepared(case, folder).fill()
    (file,) = folder.rglob(cache.CLASSES)
    np.save(file, np.ones((3, 4), np.uint8))
    assert prepared(case, folder)[0][1].classes.shape == (8, 10)


def detailed():
    """A truth with two objects that overlap, one that leaves the crop, and facts about the image."""
    square = np.ones((4, 4), bool)
    instances = (
        Instance("polyp", 0.5, square, (8, 10)),
        Instance("polyp", 0.7, square, (10, 12), crowd=True),
        Instance("polyp", 0.9, square, (0, 0)),
    )
    classes = np.zeros((20, 30), np.uint8)
    for instance in instances:
        classes[instance.box] = 1
    geometry = Geometry.in_pixels((20, 30))
    return Segmentation(classes, LABELS, geometry, instances, {"quality": 0.25}, {"polyp": True})


def image_level():
    return Segmentation(
        np.zeros((20, 30), np.uint8),
        LABELS,
        Geometry.in_pixels((20, 30)),
        present={"polyp": None},
        outlined=False,
    )


CROP = (Call("crop", {"shape": [12, 16]}),)


@pytest.mark.parametrize("in_folder", [True, False])
def test_a_truth_is_kept_whole(case, tmp_path, in_folder):
    case = replace(case, load_truth=detailed)
    folder = tmp_path / "cache" if in_folder else None
    kept = PreparedCases([case], LABELS, load_prepare(CROP), CROP, folder, instances=True)
    expected = load_prepare(CROP).truth(detailed())
    assert kept.fill().tolist() == [[True]]
    found = kept[0][1].segmentation()
    assert np.array_equal(found.classes, expected.classes)
    assert (found.scores, found.present) == ({"quality": 0.25}, {"polyp": True})
    assert [(i.label, i.score, i.crowd, i.start) for i in found.instances] == [
        ("polyp", 0.5, False, (4, 3)),
        ("polyp", 0.7, True, (6, 5)),
    ]
    for a, b in zip(found.instances, expected.instances, strict=True):
        assert np.array_equal(a.mask, b.mask)


def test_instances_are_not_kept_for_a_task_that_does_not_learn_from_them(case, tmp_path):
    plain = replace(detailed(), present={}, scores={})
    kept = prepared(replace(case, load_truth=lambda: plain), None, CROP)
    assert kept[0][1].numbers is None
    assert not kept[0][1].segmentation().instances


def test_a_plain_truth_is_kept_as_one_map_and_one_of_image_level_labels_as_none(case, tmp_path):
    prepared(case, tmp_path / "plain").fill()
    names = sorted(p.name for p in (tmp_path / "plain").rglob("*") if p.is_file())
    assert names == [cache.CLASSES, cache.PIXELS]
    kept = prepared(replace(case, load_truth=image_level), tmp_path / "image")
    assert kept.fill().tolist() == [[False]]
    names = sorted(p.name for p in (tmp_path / "image").rglob("*") if p.is_file())
    assert names == [cache.FACTS, cache.PIXELS]
    found = kept[0][1].segmentation()
    assert not found.outlined
    assert found.present == {"polyp": None}
    assert found.classes.shape == (8, 10)


@pytest.mark.parametrize("name", [cache.PIXELS, cache.LAYERS, cache.FACTS])
def test_an_entry_of_which_a_file_is_gone_or_cut_is_made_again(case, tmp_path, name):
    case = replace(case, load_truth=detailed)

    def kept():
        return PreparedCases(
            [case], LABELS, load_prepare(CROP), CROP, tmp_path / "cache", instances=True
        )[0][1].segmentation()

    assert len(kept().instances) == 2
    for damage in (b"", b"{}", None):
        (file,) = (tmp_path / "cache").rglob(name)
        file.unlink() if damage is None else file.write_bytes(damage)
        again = kept()
        assert [i.score for i in again.instances] == [0.5, 0.7]
        assert again.present == {"polyp": True}


def test_a_cache_that_cannot_be_written_says_what_to_do(case, tmp_path):
    (tmp_path / "cache").write_text("a file, so that no folder can be made")
    said = r"^the cache at .*cache cannot be written \(Not a directory\).*DELINEATE_CACHE.*cache=false\.$"
    with pytest.raises(OSError, match=said):
        prepared(case, tmp_path / "cache").fill()


def volume(name, shape, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.random((2, *shape), np.float32)
    classes = (rng.random(shape) < 0.05).astype(np.uint8) * rng.integers(1, 4, shape, np.uint8)
    labels = LabelSet((Label("organ", 1, includes=("lesion",)), Label("lesion", 2), Label("x", 3)))
    grid = Geometry.in_pixels(shape)
    truth = Segmentation(classes, labels, grid)
    return Case(name, name, lambda: Image(pixels, grid), lambda: truth)


def test_slices_are_samples_of_the_prepared_volumes():
    cases = [volume("a", (4, 6, 6), 0), volume("b", (3, 6, 6), 1)]
    calls = [Call("standardize", {"by": "values", "mean": [0.5, 0.2], "std": [0.25, 0.5]})]
    prepare = load_prepare(calls)
    labels = cases[0].truth.labels
    slices = Slices((0,), 1)
    samples = SlicesOfCases(PreparedCases(cases, labels, prepare, calls, None), slices)
    shows = samples.fill()
    assert len(samples) == 7
    at = [(case, index) for case in cases for index in range(case.image.pixels.shape[1])]
    for number, (case, index) in enumerate(at):
        pixels, layers = samples[number]
        classes = case.truth.classes[index]
        assert np.array_equal(layers.classes, classes)
        shown = [np.isin([1, 2], classes).any(), (classes == 2).any(), (classes == 3).any()]
        assert shows[number].tolist() == shown
        whole, _ = prepare(case.image)  # what the predictor cuts its slices from
        slab = slices.slab(whole, 0, index)
        assert np.array_equal(
            samples.finish(pixels), np.concatenate([slab[:, i] for i in range(3)])
        )
        assert samples.name(number) == f"{case.id} (axis 0, slice {index})"


def test_the_files_of_a_case_are_looked_at_once_not_for_every_slice(tmp_path, monkeypatch):
    file = tmp_path / "a.bin"
    file.write_bytes(b"1")
    case = replace(volume("a", (4, 6, 6), 0), image_files=(file,))
    looked = []
    key = PreparedCases._key
    monkeypatch.setattr(PreparedCases, "_key", lambda self, c: looked.append(c) or key(self, c))
    monkeypatch.setattr(cache.pickle, "dumps", lambda of: b"")  # the loaders of this case are local
    kept = PreparedCases([case], case.truth.labels, load_prepare([]), [], tmp_path / "cache")
    samples = SlicesOfCases(kept, Slices((0, 1)))
    samples.fill()
    assert len([samples[i] for i in range(len(samples))]) == 10
    assert len(looked) == 1


def test_slices_need_outlines(case):
    blank = np.zeros((20, 30), np.uint8)
    bare = replace(truth(), outlined=False, classes=blank, present={"polyp": True})
    cases = [Case("a", "a", lambda: case.image, lambda: bare)]
    samples = SlicesOfCases(PreparedCases(cases, LABELS, load_prepare([]), [], None), Slices())
    with pytest.raises(ValueError, match="has image-level labels only, and slices need masks"):
        samples.fill()
