"""The layouts on real data, with what is known to be odd in them."""

import json
from pathlib import Path

import numpy as np
import pytest

from delineate.core import Label, LabelSet
from delineate.data import cases_of
from delineate.data.folder import folder
from delineate.files import UnreadableFile, read_mask

POLYP = LabelSet((Label("polyp", 1, "thing"),))
TWO = LabelSet((Label("first", 1), Label("second", 2)))
BY_COLOUR = {"first": "#ff0000", "second": "#00ff00"}


def splits(root: Path, labels: LabelSet = POLYP, **arguments):
    usual = {"images": "images/*", "masks": "masks/*"}
    return folder(labels=labels, folder=Path(), seed=0, root=str(root), **(usual | arguments))


def cases(root: Path, labels: LabelSet = POLYP, **arguments):
    return splits(root, labels, split={"all": 1.0}, **arguments)["all"]


def test_near_duplicates_stay_on_one_side(real_data):
    kvasir = {"root": real_data / "kvasir_seg_352", "table": "index.csv", "values": {"polyp": 255}}
    found = splits(**kvasir, group="column:dup_group", stratify="labels")
    assert {name: len(part) for name, part in found.items()} == {
        "train": 560,
        "val": 70,
        "test": 70,
    }
    sides = [{case.group for case in part} for part in found.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) < 700
    areas = [np.mean([float(c.columns["fg_fraction"]) for c in part]) for part in found.values()]
    np.testing.assert_allclose(areas, areas[0], atol=0.01)
    case = found["test"][0]
    np.testing.assert_allclose(
        case.truth.classes.mean(), float(case.columns["fg_fraction"]), atol=1e-4
    )
    with pytest.raises(ValueError, match="is in two splits"):
        splits(**kvasir, group="column:dup_group", split="column:source_split")
    published = splits(**kvasir, group="{stem}", split="column:source_split")
    assert {name: len(part) for name, part in published.items()} == {
        "train": 557,
        "test": 68,
        "validation": 75,
    }


def test_near_duplicates_of_neopolyp_stay_on_one_side(real_data):
    bkai = {"root": real_data / "neopolyp_bkai", "table": "index.csv", "labels": TWO}
    found = splits(**bkai, group="column:dup_group")
    assert sum(map(len, found.values())) == 520
    sides = [{case.group for case in part} for part in found.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) < 520
    for case in found["test"][::10]:
        shares = [float(case.columns[c]) for c in ("frac_neoplastic", "frac_nonneoplastic")]
        shown = [(case.truth.classes == value).mean() for value in (1, 2)]
        np.testing.assert_allclose(shown, shares, atol=1e-3)


def test_jpeg_masks_need_a_threshold(real_data):
    raw = {"root": real_data / "kvasir_seg_352", "masks": "masks_jpeg_raw/*.jpg"}
    with pytest.raises(ValueError, match=r"JPEG-compressed.*write a threshold.*'>127'"):
        _ = cases(**raw)[0].truth
    clean = cases(real_data / "kvasir_seg_352", values={"polyp": 255})
    for found, truth in zip(cases(**raw, values={"polyp": ">127"})[:10], clean, strict=False):
        np.testing.assert_array_equal(found.truth.classes, truth.truth.classes)


def test_colours_after_jpeg_need_a_tolerance(real_data):
    native = {"root": real_data / "neopolyp_bkai/native", "labels": TWO}
    raw = {**native, "masks": "masks_jpeg_rgb/*", "values": BY_COLOUR}
    with pytest.raises(ValueError, match="write tolerance: jpeg"):
        [case.truth for case in cases(**raw)]
    for found, truth in zip(cases(**raw, tolerance=200)[:3], cases(**native), strict=False):
        np.testing.assert_array_equal(found.truth.classes, truth.truth.classes)
    cleaned = cases(**raw, tolerance="jpeg")
    assert len(cleaned) == 9
    for found, truth in zip(cleaned, cases(**native), strict=True):
        assert (found.truth.classes != truth.truth.classes).mean() < 3e-4


def test_palettes_are_read_by_index(real_data):
    for case in cases(real_data / "wbc_cells", TWO)[::12]:
        assert set(np.unique(case.truth.classes)) <= {0, 1, 2}
    with pytest.raises(ValueError, match="Is the first line the header"):
        cases(real_data / "wbc_cells", TWO, table="index.csv")


def test_films_of_one_patient_with_markup_to_ignore(real_data):
    labels = LabelSet((Label("lung", 1), Label("markup", 255, "ignore")))
    found = splits(
        real_data / "cxr_lung_v7",
        labels,
        table="index.csv",
        group="column:patient",
        stratify="column:view",
    )
    every = [case for part in found.values() for case in part]
    assert (len(every), len({case.group for case in every})) == (275, 169)
    marked = next(case for case in every if case.columns["n_ignore"] != "0")
    assert marked.truth.valid is not None
    assert set(np.unique(marked.truth.classes)) == {0, 1, 255}


def test_volumes(real_data):
    found = cases(real_data / "hippocampus_msd", TWO, table="index.csv")
    assert len(found) == 182
    truth = found[0].truth
    assert int(truth.mask("first").sum()) == int(found[0].columns["vox_anterior"])
    assert truth.geometry.unit == "mm"


@pytest.fixture(scope="module")
def expected(real_data) -> dict[str, dict]:
    text = (real_data / "oddities/truth.json").read_text(encoding="utf-8")
    return {entry["id"]: entry for entry in json.loads(text)["images"]}


def odd(real_data: Path, entry: dict, labels: LabelSet, tmp_path: Path, **arguments):
    """The case of one odd pair, listed in a table."""
    table = tmp_path / "one.csv"
    table.write_text(f"id\timage\tmask\none\t{entry['image']}\t{entry['mask'] or ''}\n", "utf-8")
    listing = {"images": None, "masks": None, "table": str(table)}
    (case,) = cases(real_data / "oddities", labels, **listing, **arguments)
    return case


@pytest.mark.parametrize(
    ("id", "values"),
    [
        ("cmyk", 255),
        ("progressive", 255),
        ("exif6", 1),
        ("grey", 1),
        ("grey16", 1),
        ("rgba", "#c80000"),
        ("giftiff", 1),
        ("webp", 255),
        ("jp2", 255),
        ("unicode", 255),
        ("samestem", 255),
        ("emptymask", 255),
        ("onepixelwide", 255),
        ("panorama", 255),
    ],
)
def test_odd_pairs_of_one_label(real_data, expected, tmp_path, id, values):
    entry = expected[id]
    case = odd(real_data, entry, POLYP, tmp_path, values={"polyp": values})
    truth = read_mask(real_data / "oddities" / entry["truth"]).pixels[0]
    np.testing.assert_array_equal(case.truth.classes, truth)
    assert case.image.geometry == case.truth.geometry


@pytest.mark.parametrize(
    ("id", "arguments"),
    [
        ("palette", {}),
        ("palette", {"values": BY_COLOUR}),
        ("palette_shuffled", {"values": BY_COLOUR}),
        ("palette_shuffled", {"values": {"background": 5, "first": 9, "second": 2}}),
        ("colourjpeg", {"values": BY_COLOUR, "tolerance": 200}),
    ],
)
def test_odd_pairs_of_two_labels(real_data, expected, tmp_path, id, arguments):
    case = odd(real_data, expected[id], TWO, tmp_path, **arguments)
    truth = read_mask(real_data / "oddities" / expected[id]["truth"]).pixels[0]
    assert (case.truth.classes != truth).mean() < (0.01 if id == "colourjpeg" else 1e-9)


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("maskbigger", r"\(176, 176\) against \(352, 352\)\. Masks are never resized"),
        ("maskaspect", r"differ in shape"),
        ("palette_shuffled", "values without a label"),
        ("jpegmask", "values without a label"),
        ("truncated", r"truncated\.jpg"),
        ("zerobyte", r"zerobyte\.jpg"),
        ("textfile", r"textfile\.png"),
    ],
)
def test_odd_pairs_that_are_refused(real_data, expected, tmp_path, id, message):
    case = odd(real_data, expected[id], TWO, tmp_path)
    with pytest.raises(ValueError, match=message):
        _ = case.image, case.truth


def test_odd_folders_are_refused(real_data):
    with pytest.raises(ValueError, match=r"samestem\.jpg and .*samestem\.png have the same stem"):
        cases(real_data / "oddities")
    with pytest.raises(ValueError, match=r"1 of \d+ masks have no image: .*noimage\.png"):
        cases(real_data / "oddities", images="images/*[!e][!m].*", masks="masks/n*")
    with pytest.raises(ValueError, match=r"1 of 1 images have no mask: .*nomask\.jpg"):
        cases(real_data / "oddities", images="images/nomask.jpg", masks=None)
    defects = real_data / "hippocampus_msd"
    with pytest.raises(ValueError, match=r"_010_label_without_image\.nii\.gz"):
        cases(
            defects,
            images="defects/{stem}_image_without_label.nii.gz",
            masks="defects/{stem}_label_without_image.nii.gz",
        )


def scan(real_data: Path, id: str):
    scans = cases(
        real_data / "oddities/nifti",
        TWO,
        images="{stem}_image.nii.gz",
        masks="{stem}_mask.nii.gz",
        unlabelled="drop",
    )
    return next(case for case in scans if case.id == id)


@pytest.mark.parametrize("id", ["lps", "slope", "sing4d", "nan", "oneslice", "oblique"])
def test_odd_scans_that_work(real_data, id):
    case = scan(real_data, id)
    assert case.truth.geometry == case.image.geometry
    assert set(np.unique(case.truth.classes)) <= {0, 1, 2}


def test_a_mask_in_another_orientation_is_turned(real_data):
    source = read_mask(real_data / "hippocampus_msd/masks/hippocampus_068.nii.gz")
    np.testing.assert_array_equal(scan(real_data, "mixed").truth.classes, source.pixels[0])


@pytest.mark.parametrize(
    ("id", "message"),
    [("shifted", r"by up to 7\.5 mm"), ("shape", r"\(33, 49, 32\) against \(33, 49, 30\)")],
)
def test_odd_scans_that_are_refused(real_data, id, message):
    case = scan(real_data, id)
    with pytest.raises(ValueError, match=message):
        _ = case.truth


def test_every_odd_file_is_listed_and_only_the_broken_ones_fail(real_data):
    found = cases_of([real_data / "oddities/images"])
    assert len({case.id for case in found}) == len(found) == 30
    broken = {"truncated", "zerobyte", "textfile"}
    for case in found:
        if case.id in broken:
            with pytest.raises(UnreadableFile):
                _ = case.image
