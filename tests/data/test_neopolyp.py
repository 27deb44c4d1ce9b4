"""The official tree of BKAI-IGH NeoPolyp."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from delineate.core import Label, LabelSet
from delineate.resolve import Call, RecipeError, build

TWO = LabelSet((Label("neoplastic", 1, "thing"), Label("non_neoplastic", 2, "thing")))
COLOURS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0), (255, 255, 0)], np.uint8)
SHAPE = (100, 130)


def write_jpeg(path: Path, picture: np.ndarray, quality: int = 80) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(picture), quality=quality, colorspace="RGB", colorsubsampling="420"
        )
    )


def polyps(seed: int) -> np.ndarray:
    classes = np.zeros(SHAPE, np.uint8)
    classes[10 + seed : 40, 20:60] = 1 + seed % 2
    classes[60:90, 70 : 110 + seed] = 1 + (seed // 2) % 2
    return classes


def write_tree(root: Path, cases: int = 12, nested: bool = False) -> Path:
    images, masks = (root / n / n if nested else root / n for n in ("train", "train_gt"))
    for i in range(cases):
        photo = np.random.default_rng(i).integers(0, 255, (*SHAPE, 3), np.uint8)
        write_jpeg(images / f"frame{i:02}.jpeg", photo)
        write_jpeg(masks / f"frame{i:02}.jpeg", COLOURS[polyps(i)])
    write_jpeg(root / "test/frame99.jpeg", np.zeros((*SHAPE, 3), np.uint8))
    return root


def splits(root: Path, labels: LabelSet = TWO, **arguments):
    call = Call("neopolyp", {"root": str(root)} | arguments)
    return build("data", call, labels=labels, folder=root.parent, seed=0)


def cases(root: Path, labels: LabelSet = TWO, **arguments):
    return splits(root, labels, split={"all": 1.0}, **arguments)["all"]


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "bkai")


@pytest.mark.parametrize("nested", [False, True])
def test_masks_are_found_again_at_the_size_of_their_images(tmp_path, nested):
    found = cases(write_tree(tmp_path / "bkai", nested=nested))
    assert [case.id for case in found] == [f"frame{i:02}" for i in range(12)]
    for i, case in enumerate(found):
        wrong = case.truth.classes != polyps(i)
        assert case.truth.geometry == case.image.geometry
        edges = cv2.dilate(polyps(i), np.ones((3, 3))) != cv2.erode(polyps(i), np.ones((3, 3)))
        assert not wrong[~edges].any()
        assert wrong.mean() < 2e-3


def test_splits_are_those_of_the_folder_layout(tree):
    assert {name: len(part) for name, part in splits(tree).items()} == {
        "train": 10, "val": 1, "test": 1,
    }  # fmt: skip
    table = "id,group\n" + "".join(f"frame{i:02},g{i // 2}\n" for i in range(12))
    (tree / "near.csv").write_text(table)
    for part in splits(tree, table="near.csv").values():
        assert len(part) == 2 * len({case.group for case in part})


def test_labels_are_known_by_name_whatever_their_values(tree):
    swapped = LabelSet((Label("Non-Neoplastic", 7), Label("Neoplastic", 3)))
    (case, *_) = cases(tree, swapped)
    truth = cases(tree)[0].truth
    assert (case.truth.mask("Neoplastic") == truth.mask("neoplastic")).all()
    assert (case.truth.mask("Non-Neoplastic") == truth.mask("non_neoplastic")).all()


def test_a_label_that_is_not_named_is_background(tree):
    for one, whole in zip(
        cases(tree, LabelSet((Label("neoplastic", 1),))), cases(tree), strict=True
    ):
        assert (one.truth.mask("neoplastic") == whole.truth.mask("neoplastic")).all()


def test_other_names_need_colours(tree):
    polyp = LabelSet((Label("polyp", 1),))
    with pytest.raises(RecipeError, match=r"label 'polyp' is none of .*neoplastic, non_neoplastic"):
        cases(tree, polyp)
    values = {"polyp": ["#ff0000", "#00ff00"]}
    for one, whole in zip(cases(tree, polyp, values=values), cases(tree), strict=True):
        np.testing.assert_array_equal(one.truth.classes > 0, whole.truth.classes > 0)


def test_undefined_is_refused_ignored_or_a_label(tree):
    classes = polyps(0)
    classes[70:85, 20:50] = 3
    write_jpeg(tree / "train_gt/frame00.jpeg", COLOURS[classes])
    with pytest.raises(ValueError, match=r"train_gt.frame00.jpeg: colours without a label: #f"):
        _ = cases(tree)[0].truth
    for kind in ("ignore", "thing"):
        truth = cases(tree, LabelSet((*TWO.labels, Label("undefined", 9, kind))))[0].truth
        assert (truth.classes == 9).sum() == pytest.approx(15 * 30, abs=6)


def test_an_empty_mask_is_a_frame_without_polyps(tree):
    write_jpeg(tree / "train_gt/frame03.jpeg", COLOURS[np.zeros(SHAPE, int)])
    assert not cases(tree)[3].truth.classes.any()


def test_a_damaged_mask_is_named(tree):
    path = tree / "train_gt/frame05.jpeg"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"train_gt.frame05.jpeg: .*truncated"):
        _ = cases(tree)[5].truth


def test_a_mask_of_grey_values_is_refused(tree):
    grey = np.where(polyps(1) > 0, 255, 0).astype(np.uint8)
    write_jpeg(tree / "train_gt/frame01.jpeg", np.stack([grey] * 3, axis=-1))
    with pytest.raises(ValueError, match=r"frame01.jpeg: colours without a label: #ffffff"):
        _ = cases(tree)[1].truth


def test_a_mask_of_another_size_is_refused(tree):
    write_jpeg(tree / "train_gt/frame01.jpeg", COLOURS[polyps(1)][:-1])
    with pytest.raises(ValueError, match=r"frame01.jpeg and its mask .* differ in shape"):
        _ = cases(tree)[1].truth


def test_pairs_must_be_whole(tree):
    (tree / "train_gt/frame01.jpeg").unlink()
    with pytest.raises(RecipeError, match=r"1 of 12 images have no mask: .*frame01.jpeg"):
        cases(tree)
    (tree / "train/frame01.jpeg").unlink()
    (tree / "train/frame02.jpeg").unlink()
    with pytest.raises(RecipeError, match=r"1 of 11 masks have no image: .*frame02.jpeg"):
        cases(tree)


def test_a_folder_of_another_kind_is_refused(tmp_path):
    (tmp_path / "x/images").mkdir(parents=True)
    with pytest.raises(
        RecipeError, match="expected the folders train and train_gt; there are: images"
    ):
        cases(tmp_path / "x")
    with pytest.raises(RecipeError, match="root: no folder .*nothing"):
        cases(tmp_path / "nothing")


def test_the_native_masks_of_the_real_data_are_read(real_data, tmp_path):
    native = real_data / "neopolyp_bkai/native"
    (tmp_path / "bkai").mkdir()
    (tmp_path / "bkai/train").symlink_to(native / "images")
    (tmp_path / "bkai/train_gt").symlink_to(native / "masks_jpeg_rgb")
    for case in cases(tmp_path / "bkai"):
        clean = cv2.imread(str(native / f"masks/{case.id}.png"), cv2.IMREAD_UNCHANGED)
        assert (case.truth.classes != clean).mean() < 3e-4
