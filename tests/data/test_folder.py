import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as itk
from PIL import Image as Picture

from delineate.core import Label, LabelSet
from delineate.data import cases_of
from delineate.resolve import Call, RecipeError, build

POLYP = LabelSet((Label("polyp", 1),))


def write(path: Path, value: int = 1, size: tuple[int, int] = (6, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(np.full(size, value, np.uint8)).save(path)


def made(root: Path, *stems: str) -> Path:
    for stem in stems:
        write(root / f"images/{stem}.jpg")
        write(root / f"masks/{stem}.png")
    return root


def cases(place: Path, **arguments):
    """The cases of a folder, in one split."""
    usual = {
        "root": str(place),
        "images": "images/*.jpg",
        "masks": "masks/*.png",
        "split": {"all": 1},
    }
    call = Call("folder", usual | arguments)
    return build("data", call, labels=POLYP, folder=place.parent, seed=0)["all"]


def refused(place: Path, **arguments) -> str:
    with pytest.raises(RecipeError) as error:
        cases(place, **arguments)
    return str(error.value)


def test_images_and_masks_pair_by_stem(tmp_path):
    first, second = cases(made(tmp_path, "b", "a"))
    assert (first.id, second.id) == ("a", "b")
    assert first.group == "a"
    assert first.files == (tmp_path / "images/a.jpg", tmp_path / "masks/a.png")
    assert first.image.geometry.shape == (6, 4)
    np.testing.assert_array_equal(first.truth.classes, np.ones((6, 4)))


def test_nothing_is_opened_to_list_the_cases(tmp_path):
    made(tmp_path, "a")
    for file in tmp_path.rglob("a.*"):
        file.write_bytes(b"")
    (case,) = cases(tmp_path)
    with pytest.raises(ValueError, match=r"a\.jpg"):
        _ = case.image


def test_a_header_and_its_data_file_are_both_files_of_the_image(tmp_path):
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
        scan = itk.GetImageFromArray(np.ones((3, 4, 5), np.uint8))
        itk.WriteImage(scan, tmp_path / part / "a.mhd", False)
    (case,) = cases(tmp_path, images="images/*.mhd", masks="masks/*.mhd")
    for files, part in ((case.image_files, "images"), (case.truth_files, "masks")):
        assert files == (tmp_path / part / "a.mhd", tmp_path / part / "a.raw")
    assert case.files == case.image_files + case.truth_files
    (alone,) = cases_of([tmp_path / "images"])
    assert alone.image_files == case.image_files
    assert alone.truth_files == ()


def test_a_data_file_that_is_missing_is_told_when_the_image_is_read(tmp_path):
    (tmp_path / "images").mkdir()
    scan = itk.GetImageFromArray(np.ones((3, 4, 5), np.uint8))
    itk.WriteImage(scan, tmp_path / "images" / "a.mhd", False)
    (tmp_path / "images" / "a.raw").unlink()
    (case,) = cases_of([tmp_path / "images"])
    assert case.image_files == (tmp_path / "images" / "a.mhd",)
    with pytest.raises(ValueError, match=r"a\.mhd: .*'a\.raw'"):
        _ = case.image


def test_cases_travel_to_other_processes(tmp_path):
    (case,) = pickle.loads(pickle.dumps(cases(made(tmp_path, "a"))))
    assert case.truth.classes.sum() == 24


def test_endings_may_be_in_capitals_and_names_in_any_script(tmp_path):
    made(tmp_path, "Bệnh nhân 7 – ảnh (1)")
    write(tmp_path / "images/b.JPG")
    write(tmp_path / "masks/b.PNG")
    assert [case.id for case in cases(tmp_path)] == ["Bệnh nhân 7 – ảnh (1)", "b"]


def test_hidden_and_other_files_are_passed_over(tmp_path):
    made(tmp_path, "a")
    (tmp_path / "images/.a.jpg").write_text("")
    (tmp_path / "images/notes.txt").write_text("")
    write(tmp_path / "images/.checkpoints/a.jpg")
    assert [case.id for case in cases(tmp_path, images="images/**/*")] == ["a"]
    assert [case.id for case in cases(tmp_path, images="images/.checkpoints/*")] == ["a"]
    assert len(cases(tmp_path / "masks", images="../images/*", masks="*")) == 1


def test_a_pattern_shows_where_the_stem_is(tmp_path):
    for patient in ("p1", "p2"):
        write(tmp_path / patient / f"{patient}_flair.png")
        write(tmp_path / patient / f"{patient}_seg.png")
    found = cases(tmp_path, images="{stem}/{stem}_flair.png", masks="./*/{stem}_seg.*")
    assert [(c.id, c.truth_files[0].name) for c in found] == [
        ("p1", "p1_seg.png"),
        ("p2", "p2_seg.png"),
    ]
    found = cases(tmp_path, images="**/{stem}_fl[ae]ir.png", masks="p?/{stem}_seg.png")
    assert [c.id for c in found] == ["p1", "p2"]


def test_two_images_of_one_stem_are_refused(tmp_path):
    write(made(tmp_path, "a") / "images/a.png")
    message = refused(tmp_path, images="images/*")
    assert f"{tmp_path}/images/a.jpg and {tmp_path}/images/a.png have the same stem, 'a'" in message


def test_an_image_without_mask_is_refused_kept_or_dropped(tmp_path):
    write(made(tmp_path, "a") / "images/bare.jpg")
    assert f"1 of 2 images have no mask: {tmp_path}/images/bare.jpg" in refused(tmp_path)
    assert [c.truth is None for c in cases(tmp_path, unlabelled="keep")] == [False, True]
    assert [c.id for c in cases(tmp_path, unlabelled="drop")] == ["a"]
    assert "unlabelled is 'skip'" in refused(tmp_path, unlabelled="skip")


def test_no_masks_at_all(tmp_path):
    made(tmp_path, "a")
    assert "1 of 1 images have no mask" in refused(tmp_path, masks=None)
    (case,) = cases(tmp_path, masks=None, unlabelled="keep")
    assert case.truth is None
    assert case.files == (tmp_path / "images/a.jpg",)
    assert "none of 1 images has a mask" in refused(tmp_path, masks=None, unlabelled="drop")


def test_a_mask_without_image_is_refused(tmp_path):
    write(made(tmp_path, "a") / "masks/lone.png")
    assert f"1 of 2 masks have no image: {tmp_path}/masks/lone.png" in refused(tmp_path)


def test_a_root_that_is_not_there(tmp_path):
    assert f"root: no folder 'none'. Searched: {tmp_path}/none" in refused(
        tmp_path / "x", root="none"
    )


def test_a_root_is_found_from_the_recipe_and_from_here(tmp_path, monkeypatch):
    made(tmp_path / "recipes/data", "a")
    found = cases(tmp_path / "recipes/x", root="data")
    assert found[0].files[0] == tmp_path / "recipes/data/images/a.jpg"
    monkeypatch.chdir(tmp_path / "recipes")
    assert len(cases(tmp_path / "elsewhere/x", root="data")) == 1


def test_a_glob_that_fits_nothing(tmp_path):
    made(tmp_path, "a")
    message = refused(tmp_path, images="photos/*.jpg")
    assert (
        f"images: no file that can be read matches photos/*.jpg below {tmp_path}. Endings"
        in message
    )
    (tmp_path / "masks/a.xyz").write_text("")
    assert "below " + str(tmp_path) + ", only a.xyz." in refused(tmp_path, masks="masks/*.xyz")
    assert "expected a glob below" in refused(tmp_path, images="/abs/*.jpg")


def test_groups_by_an_expression(tmp_path):
    made(tmp_path, "patient12_3", "patient12_4", "patient7_1")
    found = cases(tmp_path, group=r"(patient\d+)_")
    assert [c.group for c in found] == ["patient12", "patient12", "patient7"]
    named = cases(tmp_path, group=r"(patient|case)(?P<group>\d+)_")
    assert [c.group for c in named] == ["12", "12", "7"]
    assert "matches 2 of 3 ids, but not patient7_1" in refused(tmp_path, group=r"(patient12)_")
    assert "not a valid regular expression" in refused(tmp_path, group="(patient")
    assert "not 0" in refused(tmp_path, group="patient")


TABLE = "stem,patient,site\na,p1,Oslo\nb,p1,Bern\nc,p2,Oslo\nmore,p9,Oslo\n"


def test_a_table_tells_more_of_the_images(tmp_path):
    (made(tmp_path, "a", "b", "c") / "index.csv").write_text(TABLE)
    found = cases(tmp_path, table="index.csv", group="column:patient")
    assert [c.group for c in found] == ["p1", "p1", "p2"]
    assert dict(found[1].columns) == {"patient": "p1", "site": "Bern"}
    message = refused(tmp_path, table="index.csv", group="column:patients")
    assert "no such column. There are: stem, patient, site; did you mean 'patient'?" in message


def test_an_image_without_row_is_refused(tmp_path):
    (made(tmp_path, "a", "b", "c", "d") / "index.csv").write_text(TABLE)
    message = refused(tmp_path, table="index.csv")
    assert "1 of 4 images are not in the table: d" in message
    assert "table: no file 'idx.csv'" in refused(tmp_path, table="idx.csv")


def test_a_table_lists_the_cases(tmp_path):
    write(made(tmp_path, "a", "b") / "masks/extra.png")
    (tmp_path / "cases.csv").write_text(
        "image;mask;group;split\nimages/a.jpg;masks/b.png;p1;test\nimages/b.jpg;masks/a.png;p2;train\n"
    )
    call = Call("folder", {"root": str(tmp_path), "table": "cases.csv"})
    splits = build("data", call, labels=POLYP, folder=tmp_path, seed=0)
    assert {name: [c.id for c in part] for name, part in splits.items()} == {
        "train": ["b"],
        "test": ["a"],
    }
    (case,) = splits["test"]
    assert case.group == "p1"
    assert case.files == (tmp_path / "images/a.jpg", tmp_path / "masks/b.png")


def test_ids_tell_images_of_one_name_apart(tmp_path):
    for site in ("oslo", "bern"):
        write(tmp_path / site / "1.png")
    (tmp_path / "cases.csv").write_text("image\noslo/1.png\nbern/1.png\n")
    keep = {"images": None, "masks": None, "table": "cases.csv", "unlabelled": "keep"}
    assert "two rows have the same image '1'; give each its own" in refused(tmp_path, **keep)
    (tmp_path / "cases.csv").write_text("image,id\noslo/1.png,o1\nbern/1.png,b1\n")
    assert [c.id for c in cases(tmp_path, **keep)] == ["b1", "o1"]


def test_a_table_with_gaps(tmp_path):
    made(tmp_path, "a", "b")
    listing = {"images": None, "masks": None, "table": "cases.csv"}
    (tmp_path / "cases.csv").write_text(
        "id,image,mask\na,images/a.jpg,masks/a.png\nb,images/b.jpg,\n"
    )
    assert "1 of 2 images have no mask" in refused(tmp_path, **listing)
    (tmp_path / "cases.csv").write_text("id,image\na,images/a.jpg\nb,images/z.jpg\n")
    assert f"1 of 2 files in the table do not exist: {tmp_path}/images/z.jpg" in refused(
        tmp_path, **listing
    )
    (tmp_path / "cases.csv").write_text("id,image\na,images/a.jpg\nb,\n")
    assert "the table has no image for b" in refused(tmp_path, **listing)
    assert "neither images nor a table" in refused(tmp_path, images=None)


def test_the_program_s_arguments_reach_the_split(tmp_path):
    made(tmp_path, *"abcdefghij")
    for split in (None, {"folds": 5, "fold": 0, "test": 0.1}):
        call = Call(
            "folder", {"root": ".", "images": "images/*", "masks": "masks/*", "split": split}
        )
        first, again, other = (
            build("data", call, labels=POLYP, folder=tmp_path, seed=seed) for seed in (0, 0, 4)
        )
        names = [{k: [c.id for c in v] for k, v in s.items()} for s in (first, again, other)]
        assert names[0] == names[1] != names[2]
        assert set(names[0]) == {"train", "val", "test"}


def test_values_are_checked_before_any_mask_is_read(tmp_path):
    message = refused(made(tmp_path, "a"), values={"polip": 255})
    assert "did you mean 'polyp'" in message
    assert "values is {'polyp': None}" in refused(tmp_path, values={"polyp": None})


def write_table(place: Path, *rows: str, header: str = "id,device") -> str:
    (place / "cases.csv").write_text("\n".join((header, *rows)) + "\n")
    return str(place / "cases.csv")


def test_image_level_labels_come_from_the_table_without_masks(tmp_path):
    words = {"a": "1", "b": "TRUE", "c": "yes", "d": "0", "e": "false", "f": "No"}
    made(tmp_path, *words)
    table = write_table(tmp_path, *(f"{id},{word}" for id, word in words.items()))
    found = cases(tmp_path, masks=None, table=table, present={"polyp": "device"})
    assert [case.truth.shows("polyp") for case in found] == [True] * 3 + [False] * 3
    for case in found:
        assert not case.truth.outlined
        assert case.truth.geometry == case.image.geometry
        assert case.truth_files == ()
        assert pickle.loads(pickle.dumps(case)).truth.present == case.truth.present


def test_a_case_of_which_nothing_is_known_has_no_truth(tmp_path):
    made(tmp_path, "a", "b")
    given = {
        "masks": None,
        "table": write_table(tmp_path, "a,1", "b,"),
        "present": {"polyp": "device"},
    }
    assert "1 of 2 images have no mask or known image-level label" in refused(tmp_path, **given)
    assert [c.truth is None for c in cases(tmp_path, unlabelled="keep", **given)] == [False, True]
    assert [c.id for c in cases(tmp_path, unlabelled="drop", **given)] == ["a"]


def test_image_level_labels_stand_beside_masks(tmp_path):
    made(tmp_path, "a", "b", "c")
    (tmp_path / "masks/c.png").unlink()
    labels = LabelSet((Label("polyp", 1), Label("device", 2)))
    given = {
        "root": str(tmp_path),
        "images": "images/*.jpg",
        "masks": "masks/*.png",
        "values": {"polyp": 1, "device": []},
        "table": write_table(tmp_path, "a,yes,", "b,,0", "c,no,", header="id,device,seen"),
        "present": {"device": "device", "polyp": "seen"},
        "split": {"all": 1},
    }
    a, b, c = build("data", Call("folder", given), labels=labels, folder=tmp_path, seed=0)["all"]
    assert a.truth.outlined
    assert (a.truth.shows("polyp"), a.truth.shows("device")) == (True, True)  # one by its mask
    assert (b.truth.shows("polyp"), b.truth.shows("device")) == (
        False,
        None,
    )  # masks hold no device
    assert not c.truth.outlined
    assert (c.truth.shows("polyp"), c.truth.shows("device")) == (None, False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"present": {"polyp": "devise"}}, r"present names the column 'devise' for polyp, but .*cases\.csv has no "
         r"such column. There are: id, device. Did you mean 'device'\?"),
        ({"present": {"pollyp": "device"}}, "present names 'pollyp', which is not a label to segment.*'polyp'"),
        ({"present": {"polyp": "device"}, "table": None}, "present names columns of a table, but no table is given"),
        ({"present": {"polyp": "device"}}, r"cases\.csv:3: the column 'device', which tells whether the image shows "
         "polyp, has the value 'maybe'; expected 1, true or yes; 0, false or no; or an empty field"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_image_level_labels_is_said_with_its_place(tmp_path, given, message):
    made(tmp_path, "a", "b")
    table = write_table(tmp_path, "a,1", "b,maybe")
    said = refused(tmp_path, **{"masks": None, "table": table, **given})
    assert re.search(message, said, re.I), said


def test_a_row_of_several_lines_has_the_number_of_its_last(tmp_path):
    made(tmp_path, "a", "b")
    table = write_table(tmp_path, 'a,1,"two', 'lines"', "b,2,one", header="id,device,note")
    said = refused(tmp_path, masks=None, table=table, present={"polyp": "device"})
    assert "cases.csv:4: " in said


VOLUME = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)


def write_volume_mask(path: Path, series: Path) -> None:
    """A mask as NIfTI, whose axes run in another order than those of the series."""
    path.parent.mkdir(parents=True, exist_ok=True)
    reader = itk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series)))
    scan = itk.DICOMOrient(reader.Execute(), "RAS")
    itk.WriteImage(itk.Cast(scan > 30, itk.sitkUInt8), path)


@pytest.mark.parametrize(
    ("series", "mask", "images", "masks"),
    [
        ("p1/ct", "p1/mask.nii.gz", "{stem}/ct", "{stem}/mask.nii.gz"),
        ("images/p1", "masks/p1.nii.gz", "images/*", "masks/*"),
        ("p1/1.2.840/ser.3", "p1/m.nii.gz", "{stem}/*/*", "{stem}/*.nii.gz"),
        ("p1", "p1/mask.nii.gz", "*", "{stem}/mask.nii.gz"),
        ("p1", "p1.nii.gz", "p?", "*.nii.gz"),
    ],
)
def test_a_folder_with_a_dicom_series_is_an_image(
    series, mask, images, masks, write_series, tmp_path
):
    folder = write_series(tmp_path / series, VOLUME, name="IM{}", origin=(5, 6, 7))
    write_volume_mask(tmp_path / mask, folder)
    (case,) = cases(tmp_path, images=images, masks=masks)
    assert (case.id, case.image_path, case.truth_path) == ("p1", folder, tmp_path / mask)
    assert case.image_files == tuple(folder / f"IM{i}" for i in range(3))
    assert case.truth_files == (tmp_path / mask,)
    np.testing.assert_array_equal(case.image.pixels[0], VOLUME)
    np.testing.assert_array_equal(case.truth.classes, VOLUME > 30)
    again = pickle.loads(pickle.dumps(case))
    assert again.image.geometry == case.truth.geometry


def test_a_table_lists_folders_and_series(write_series, tmp_path):
    write_series(tmp_path / "p1", VOLUME)
    write_series(tmp_path / "p2", VOLUME, uid="1.2", name="a{}")
    write_series(tmp_path / "p2", VOLUME[:2], uid="1.3", name="b{}")
    table = write_table(tmp_path, "a,p1", "b,p2/1.2", "c,p2/1.3", header="id,image")
    found = cases(tmp_path, images=None, masks=None, table=table, unlabelled="keep")
    assert [case.id for case in found] == ["a", "b", "c"]
    assert [case.image.geometry.shape[0] for case in found] == [3, 3, 2]
    assert [len(case.image_files) for case in found] == [3, 3, 2]
    (tmp_path / "empty").mkdir()
    table = write_table(tmp_path, "a,empty", header="id,image")
    assert "do not exist: " in refused(tmp_path, images=None, masks=None, table=table)


def test_the_slices_of_a_series_are_not_taken_for_images_of_one_stem(write_series, tmp_path):
    write_series(tmp_path / "p1", VOLUME)
    said = refused(tmp_path, images="{stem}/*", masks=None, unlabelled="keep")
    assert "have the same stem, 'p1'. For a DICOM series match its folder, not its files." in said


def test_radiographs_pair_with_their_masks(write_series, tmp_path):
    for i, name in enumerate(("a.dcm", "1.2.840")):
        write_series(
            tmp_path / "images", VOLUME[:1], uid=f"1.{i}", name=name, Modality="DX",
            ImagePositionPatient=None, ImageOrientationPatient=None,
        )  # fmt: skip
    write(tmp_path / "masks" / "a.png", size=(4, 5))
    (tmp_path / "images" / "notes.txt").write_text("nothing")
    (case,) = cases(tmp_path, images="images/*", unlabelled="drop")
    assert case.truth.classes.shape == (4, 5)
    assert case.image_path == tmp_path / "images" / "a.dcm"
    write(tmp_path / "masks" / "1.2.840.png", size=(4, 5))
    every = cases(tmp_path, images="images/*")
    assert [(case.id, case.image_path.name) for case in every] == [
        ("1.2.840", "1.2.840"),
        ("a", "a.dcm"),
    ]
