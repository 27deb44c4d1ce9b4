"""What is known to be wrong with real data is found, and little else is said."""

import csv
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from delineate.audit import audit
from delineate.audit._alike import alike
from delineate.audit._look import looks, pictures_of
from delineate.audit._text import text_lines
from delineate.core import Geometry, Image, Label, LabelSet
from delineate.data.folder import folder
from delineate.files import read_image

POLYP = LabelSet((Label("polyp", 1, "thing"),))
TWO = LabelSet((Label("first", 1), Label("second", 2)))


@pytest.fixture
def listed(tmp_path):
    """The cases of a table made here: rows of id, image, mask, split."""

    def make(root: Path, rows, labels=POLYP, **arguments):
        table = tmp_path / f"{len(os.listdir(tmp_path))}.csv"
        text = "".join(
            "\t".join(map(str, row)) + "\n" for row in [("id", "image", "mask", "split"), *rows]
        )
        table.write_text(text, "utf-8")
        splits = folder(
            labels=labels, folder=Path(), seed=0, root=str(root), table=str(table), **arguments
        )
        return audit(splits, labels, progress=False)

    return make


def said(found):
    return {finding.check: finding for finding in found.findings}


def test_near_duplicates_across_the_published_split_of_kvasir(real_data, listed):
    root = real_data / "kvasir_seg_352"
    with (root / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    # Every pair that shows one picture, every image grouped with it, and forty others.
    pairs = {
        ("tr_0153", "te_0048"), ("tr_0796", "va_0067"), ("tr_0042", "va_0087"), ("tr_0300", "tr_0667"),
        ("tr_0292", "tr_0437"), ("tr_0272", "tr_0648"),
    }  # fmt: skip
    wanted = {stem for pair in pairs for stem in pair}
    groups = {row["dup_group"] for row in rows if row["stem"] in wanted} | {
        "125",
        "347",
        "63",
        "99",
        "230",
    }
    chosen = [row for row in rows if row["dup_group"] in groups] + rows[::18]
    chosen = list({row["stem"]: row for row in chosen}.values())
    listing = [
        (stem, f"images/{stem}.jpg", f"masks_jpeg_raw/{stem}.jpg", split)
        for stem, split in ((row["stem"], row["source_split"]) for row in chosen)
    ]
    found = said(listed(root, listing, values={"polyp": ">127"}))
    across = {frozenset(ids) for ids in found["near_duplicates_across_splits"].cases}
    within = {frozenset(ids) for ids in found["near_duplicates_of_two_groups"].cases}
    assert across == {frozenset(pair) for pair in pairs if pair[0][:2] != pair[1][:2]}
    assert {frozenset(pair) for pair in pairs} - across <= within
    assert len(found["lossy_masks"].cases) == len(chosen)
    assert {f for f in found if f != "tiny_objects"} == {
        "near_duplicates_across_splits", "near_duplicates_of_two_groups", "lossy_masks",
        "burned_in_pixels",
    }  # fmt: skip


def test_one_film_under_two_patients_of_cxr_lung_v7(real_data, listed):
    stems = [
        "cxr_1676447",
        "cxr_1676687",
        "cxr_1676519",
        "cxr_1676588",
        "cxr_1676553",
        "cxr_1676709",
    ]
    others = [p.stem for p in sorted((real_data / "cxr_lung_v7/images").iterdir())[::12]]
    rows = [
        (stem, f"images/{stem}.jpg", f"masks/{stem}.png", "train" if i % 2 else "test")
        for i, stem in enumerate(dict.fromkeys(stems + others))
    ]
    labels = LabelSet((Label("lung", 1), Label("markup", 255, "ignore")))
    found = said(listed(real_data / "cxr_lung_v7", rows, labels))
    assert {frozenset(ids) for ids in found["near_duplicates_across_splits"].cases} == {
        frozenset(stems[:2]),
        frozenset(stems[4:]),
    }
    (copies,) = found["duplicates_across_splits"].cases
    assert set(copies) == set(stems[2:4])


COPIES = {
    "JPEG 60": lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1),
    "half the size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "brighter": lambda p: (p * 1.2 + 10).clip(0, 255).astype(np.uint8),
    "gamma 1.5": lambda p: (255 * (p / 255) ** 1.5).round().astype(np.uint8),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("pack", ["nuclei_dsb2018", "wbc_cells"])
def test_a_copy_in_another_light_or_size_is_always_found(real_data, pack, how):
    files = sorted((real_data / pack / "images").iterdir())[:100]
    pictures = [cv2.imread(str(file)) for file in files]
    every = [
        Image(np.moveaxis(pixels, -1, 0), Geometry.in_pixels(pixels.shape[:2]))
        for pixels in [*pictures, *map(COPIES[how], pictures)]
    ]
    lit, wholes = zip(*[map(pictures_of, looks(image)) for image in every], strict=True)
    found = {(pair.first, pair.second) for pair in alike(lit, wholes)}
    assert found == {(i, len(files) + i) for i in range(len(files))}


def test_the_same_body_twice(real_data, listed):
    rows = [(id, f"images/{id}.nii.gz", f"masks_rsna5/{id}.nii.gz", split)
            for id, split in (("ct_a", "train"), ("ct_a_crop30", "test"))]  # fmt: skip
    organs = LabelSet(tuple(Label(f"organ {i}", i) for i in range(1, 6)))
    found = said(listed(real_data / "abdomen_ct_totalseg", rows, organs))
    assert found["shared_slices_across_splits"].cases == (("ct_a", "ct_a_crop30"),)
    assert found["shared_slices_across_splits"].why == ("30 slices are equal; train and test",)


def test_wild_scales_and_float_labels_of_hippocampus(real_data, listed):
    with (real_data / "hippocampus_msd/index.csv").open() as file:
        rows = list(csv.DictReader(file))
    loud = [r["stem"] for r in rows if float(r["max"]) > 100_000]
    stems = (
        [r["stem"] for r in rows if float(r["max"]) < 5000][:12] + loud[:3] + ["hippocampus_243"]
    )
    found = listed(
        real_data / "hippocampus_msd",
        [(s, f"images/{s}.nii.gz", f"masks/{s}.nii.gz", "train") for s in dict.fromkeys(stems)],
        TWO,
    )
    assert {ids[0] for ids in said(found)["intensity_scales"].cases} >= set(loud[:3])
    assert said(found)["float_masks"].cases == (("hippocampus_003",), ("hippocampus_243",))
    assert set(said(found)) == {"intensity_scales", "float_masks", "mixed_types"}
    assert found.refused() == []


def test_every_oddity_is_told_by_its_name(real_data, listed):
    tree = json.loads((real_data / "oddities/truth.json").read_text(encoding="utf-8"))
    rows = [(e["id"], e["image"], e["mask"] or "", "all") for e in tree["images"] if e["image"]]
    found = said(
        listed(real_data / "oddities", rows, unlabelled="keep", values={"polyp": [1, 255]})
    )
    assert {ids[0] for ids in found["unreadable"].cases} == {"truncated", "zerobyte", "textfile"}
    assert {ids[0] for ids in found["misaligned"].cases} == {"maskbigger", "maskaspect"}
    assert {"palette_shuffled", "jpegmask"} <= {
        ids[0] for ids in found["values_without_label"].cases
    }
    assert found["misnamed"].cases == (("pngNamedJpg",),)
    assert found["no_truth"].cases == (("nomask",),)
    assert ("emptymask",) in found["empty_truth"].cases


def test_every_odd_scan_is_told_by_its_name(real_data, listed):
    ids = [
        "lps",
        "mixed",
        "slope",
        "sing4d",
        "nan",
        "shifted",
        "shape",
        "oneslice",
        "oblique",
        "truncated",
    ]
    rows = [
        (
            id,
            f"nifti/{id}_image.nii.gz",
            f"nifti/{id}_mask.nii.gz" if id != "truncated" else "",
            "all",
        )
        for id in ids
    ]
    found = said(listed(real_data / "oddities", rows, TWO, unlabelled="keep"))
    assert found["not_finite"].cases == (("nan",),)
    assert {ids[0] for ids in found["misaligned"].cases} == {"shape"}
    assert {ids[0] for ids in found["misplaced"].cases} == {"shifted"}
    assert found["unreadable"].cases == (("truncated",),)
    assert found["float_masks"].cases == (("slope",),)
    assert {f.check for f in found.values() if f.level == "refuse"} == {
        "not_finite",
        "misaligned",
        "misplaced",
        "unreadable",
    }


def test_text_in_the_pixels_of_named_pictures(real_data):
    def lines(folder, *stems):
        return [text_lines(read_image(real_data / folder / "images" / s).pixels) for s in stems]

    dated = [f"{stem}.jpg" for stem in ("tr_0025", "tr_0313", "tr_0625", "va_0014", "te_0010")]
    for found in lines("kvasir_seg_352", *dated):
        assert len(found) >= 2
        assert all(x + width < 0.4 for _, x, _, width in found)
    bare = [f"{stem}.jpg" for stem in ("te_0057", "te_0075", "tr_0264", "tr_0215", "tr_0559")]
    assert lines("kvasir_seg_352", *bare) == [()] * 5  # all with highlights
    assert all(lines("cxr_lung_v7", "cxr_1676455.jpg", "cxr_1676647.jpg", "cxr_1676323.jpg"))
    single = (
        "cxr_1676345.jpg",
        "cxr_1676391.jpg",
        "cxr_1676339.jpg",
    )  # a letter; one in a box; devices
    assert lines("cxr_lung_v7", *single) == [()] * 3
