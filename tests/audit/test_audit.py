"""Cases are read once, whatever is wrong with them, and what is found is kept and saved."""

import csv
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from delineate.audit import Audit, _audit, audit
from delineate.core import Label, LabelSet
from delineate.data.phantom import phantom


def checks_of(found: Audit) -> dict[str, tuple]:
    return {finding.check: finding.cases for finding in found.findings}


def jpeg(mask, quality=60):
    return cv2.imencode(".jpg", mask * 255, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def test_every_fault_is_named_and_none_stops_the_others(folder, picture, square, labels):
    png = cv2.imencode(".png", picture(2))[1].tobytes()
    speck = square.copy()
    speck[100, 100:104] = 1
    splits = folder(
        {
            "train": {
                "good": (picture(0), square),
                "cut": (png[: len(png) // 2], square),
                "empty file": (b"", square),
                "flat": (np.full((120, 150), 9, np.uint8), square),
                "small mask": (picture(3), square[:60]),
                "strange": (picture(4), square * 7),
                "wrong name": (png, square, ".jpg"),
                "full": (picture(5), np.ones_like(square)),
                "speck": (picture(6), speck),
            },
            "val": {"nothing": (picture(7), square * 0)},
        }
    )  # fmt: skip
    found = audit(splits, labels, progress=False)
    assert checks_of(found) == {
        "misaligned": (("small mask",),),
        "values_without_label": (("strange",),),
        "unreadable": (("cut",), ("empty file",)),
        "constant_image": (("flat",),),
        "masks_of_one_value": (("full",),),
        "label_never_judged": (),
        "tiny_objects": (("speck",),),
        "empty_truth": (("nothing",),),
        "misnamed": (("wrong name",),),
    }
    levels = [finding.level for finding in found.findings]
    assert levels == sorted(levels, key=["refuse", "warn", "note"].index)
    assert levels.count("refuse") == len(found.refused()) == 3
    assert {f.check for f in found.refused(["unreadable", "misaligned"])} == {
        "values_without_label"
    }
    (why,) = next(f.why for f in found.findings if f.check == "misaligned")
    assert "(120, 150) against (60, 150)" in why
    assert found.splits["train"]["unusable"] == 4
    assert found.splits["val"]["empty"] == 1


def test_lossy_masks_and_masks_below_the_threshold(folder, picture, square, labels):
    splits = folder(
        {
            "train": {
                "sharp": (picture(0), square * 255),
                "lossy": (picture(1), jpeg(cv2.GaussianBlur(square, (0, 0), 0.5))),
                "ones": (picture(2), square),
                "none": (picture(3), square * 0),
            }
        },
        values={"polyp": ">127"},
    )
    assert checks_of(audit(splits, labels, progress=False)) == {
        "lossy_masks": (("lossy",),),
        "masks_below_threshold": (("ones",),),
        "empty_truth": (("ones",), ("none",)),
        "misnamed": (("lossy",),),
    }


def test_leaks_planted_by_hand_are_refused(folder, picture, square, labels):
    frame = np.zeros((200, 200), np.uint8)
    frame[20:180, 30:190] = cv2.resize(picture(1), (160, 160), interpolation=cv2.INTER_AREA)
    splits = folder(
        {
            "train": {
                "a": (picture(0), square),
                "b": (picture(1), square),
                "c": (picture(2), square),
                "c again": (picture(2), square * 0),
                "e": (picture(4), square),
            },
            "test": {
                "a copied": (picture(0), square),
                "b framed": (frame, np.pad(square, ((0, 80), (0, 50)))),
                "d": (picture(3)[:, ::-1], square),
                "d mirrored": (np.ascontiguousarray(picture(3)), square),
                "e later": (picture(5), square),
            },
        },
        groups={
            "e": "patient 5",
            "e later": "patient 5",
            "d": "patient 4",
            "d mirrored": "patient 4",
        },
    )
    found = audit(splits, labels, progress=False)
    assert checks_of(found) == {
        "duplicates_across_splits": (("a", "a copied"),),
        "near_duplicates_across_splits": (("b", "b framed"),),
        "group_across_splits": (("e", "e later"),),
        "duplicates_of_two_groups": (("c", "c again"),),
        "duplicates_with_two_truths": (("c", "c again"),),
        "near_duplicates": (("d", "d mirrored"),),
        "empty_truth": (("c again",),),
    }
    why = {f.check: f.why for f in found.findings}
    assert why["near_duplicates_across_splits"][0].endswith("train and test")
    assert "turned or mirrored" in why["near_duplicates"][0]
    allowed = ["duplicates_across_splits", "near_duplicates_across_splits"]
    assert [f.check for f in found.refused(allowed)] == ["group_across_splits"]


def test_facts_are_kept_by_content_and_read_again_where_that_changed(
    folder, picture, square, labels, tmp_path, monkeypatch
):
    splits = folder({"train": {"a": (picture(0), square), "b": (picture(1), square)}})
    cache = tmp_path / "cache"
    first = audit(splits, labels, cache=cache, progress=False)
    entries = sorted(cache.glob("*.json"))
    assert len(entries) == 2
    assert not any(
        word in file.read_text() for file in entries for word in ("a.png", str(tmp_path))
    )

    read = []
    reader = _audit.read_case
    monkeypatch.setattr(
        _audit, "read_case", lambda case, split: read.append(case.id) or reader(case, split)
    )
    again = audit({"test": splits["train"]}, labels, cache=cache, progress=False)
    assert read == []
    assert [replace(case, split="train") for case in again.cases] == list(first.cases)

    entries[0].write_text("{broken")
    entries[1].write_text(entries[1].read_text().replace('"truth"', '"untruth"'))
    audit(splits, labels, cache=cache, progress=False)
    assert len(read) >= 1
    cv2.imwrite(str(splits["train"][0].files[0]), picture(9))
    read.clear()
    assert audit(splits, labels, cache=cache, progress=False).cases[0] != first.cases[0]
    assert read == ["a"]


def test_json_comes_back_and_the_table_has_a_row_per_case(
    folder, picture, square, labels, tmp_path
):
    splits = folder(
        {
            "train": {"a": (picture(0), square)},
            "test": {"b": (picture(0), square), "c": (b"", square)},
        }
    )
    found = audit(splits, labels, progress=False)
    tree = json.loads(json.dumps(found.as_json()))
    assert Audit.from_json(tree) == found
    assert Audit.from_json(tree).lines() == found.lines()
    found.save_csv(tmp_path / "cases.csv")
    with (tmp_path / "cases.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert rows["a"]["shape"] == "120x150"
    assert rows["a"]["polyp size"] == "2000"
    assert rows["a"]["findings"] == rows["b"]["findings"] == "duplicates_across_splits"
    assert (rows["c"]["findings"], rows["c"]["shape"]) == ("unreadable", "")


def test_lines_are_what_a_terminal_shows(folder, picture, square, labels):
    found = audit(
        folder({"train": {"a": (picture(0), square), "b": (picture(0), square)}}),
        labels,
        progress=False,
    )
    assert found.lines() == [
        "train    2 cases of 2 groups; polyp in 2, median 11.1% of the image, 2 objects",
        "images   shapes: 120x150 (2); channels: 1 (2); types: uint8 (2)",
        "warn     duplicates_of_two_groups: 1 image under several groups of one split (a = b)",
    ]


def test_drawn_cases_need_no_files_and_are_not_taken_for_duplicates(tmp_path):
    names = LabelSet((Label("liver", 1),))
    drawn = phantom(labels=names, seed=0, scene="abdomen", cases=12, shape=(64, 64))
    found = audit(drawn, names, cache=tmp_path / "cache", progress=False)
    assert found.refused() == []
    assert not list(tmp_path.iterdir())
    assert {case.image.unit for case in found.cases} == {"mm"}


@pytest.mark.parametrize("shape", [(40, 50), (12, 14, 16)])
def test_the_statistics_are_in_the_unit_of_the_grid(shape):
    names = LabelSet((Label("liver", 1),))
    scene = "abdomen_3d" if len(shape) == 3 else "abdomen"
    shape = tuple(max(16, n) for n in shape)
    drawn = phantom(labels=names, seed=0, scene=scene, cases=4, shape=shape, split={"train": 1.0})
    found = audit(drawn, names, progress=False)
    of = found.splits["train"]["labels"]["liver"]
    (unit,) = of["size"]
    assert unit == f"mm{'²³'[len(shape) - 2]}"
    case = drawn["train"][0]
    grid = case.truth.geometry
    assert sum(found.cases[0].sizes("liver")) == pytest.approx(
        case.truth.mask("liver").sum() * grid.sample_size
    )
