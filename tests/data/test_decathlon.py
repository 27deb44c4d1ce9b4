"""The layout of the Medical Segmentation Decathlon and of nnU-Net."""

import json
from pathlib import Path

import numpy as np
import pytest

from delineate.core import Geometry, Image, Label, LabelSet
from delineate.files import write_image
from delineate.resolve import Call, RecipeError, build

TWO = LabelSet((Label("anterior", 1), Label("posterior", 2)))
GRID = Geometry.in_patient((3, 4, 5), np.diag([-1.0, -1, 1, 1])[:, :4])
ALL = {"all": 1.0}


def volume(path: Path, highest: int = 200, channels: int = 1) -> None:
    values = np.random.default_rng(len(path.name)).integers(0, highest, (channels, *GRID.shape))
    write_image(Image(values.astype(np.uint8), GRID), path)


def written(root: Path, **dataset) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.json").write_text(json.dumps(dataset, indent="\t"), encoding="utf-8")
    return root


def msd(root: Path, *ids: str, **changes) -> Path:
    for id in ids:
        volume(root / f"imagesTr/{id}.nii.gz")
        volume(root / f"labelsTr/{id}.nii.gz", 3)
        (root / f"imagesTr/._{id}.nii.gz").write_bytes(b"\0\5\x16\7")  # as macOS leaves them
    pairs = [{"image": f"./imagesTr/{id}.nii.gz", "label": f"./labelsTr/{id}.nii.gz"} for id in ids]
    usual = {
        "name": "Hippocampus",
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
        "numTraining": len(ids),
        "numTest": 1,
        "training": pairs,
        "test": ["./imagesTs/hippocampus_002.nii.gz"],
    }
    return written(root, **(usual | changes))


def nnunet(root: Path, *ids: str, channels=("FLAIR", "T1c"), ending=".nii.gz", **changes) -> Path:
    for id in ids:
        for number in range(len(channels)):
            volume(root / f"imagesTr/{id}_{number:04d}{ending}")
        volume(root / f"labelsTr/{id}{ending}", 3)
    usual = {
        "channel_names": {str(i): name for i, name in enumerate(channels)},
        "labels": {"background": 0, "anterior": 1, "posterior": 2},
        "numTraining": len(ids),
        "file_ending": ending,
    }
    return written(root, **(usual | changes))


def splits(root: Path, labels: LabelSet = TWO, **arguments):
    call = Call("decathlon", {"root": str(root)} | arguments)
    return build("data", call, labels=labels, folder=root.parent, seed=0)


def cases(root: Path, labels: LabelSet = TWO, **arguments):
    return splits(root, labels, split=ALL, **arguments)["all"]


def refused(root: Path, labels: LabelSet = TWO, **arguments) -> str:
    with pytest.raises(RecipeError) as error:
        splits(root, labels, **({"split": ALL} | arguments))
    return str(error.value)


def test_a_decathlon_folder_is_read_as_it_comes(tmp_path):
    first, second = cases(msd(tmp_path, "hippocampus_001", "hippocampus_003"))
    assert (first.id, first.group, first.channels) == (
        "hippocampus_001",
        "hippocampus_001",
        ("MRI",),
    )
    assert second.files == (
        tmp_path / "imagesTr/hippocampus_003.nii.gz",
        tmp_path / "labelsTr/hippocampus_003.nii.gz",
    )
    assert first.image.pixels.shape == (1, *GRID.shape)
    assert first.truth.mask("posterior").any()


def test_one_file_may_hold_all_channels(tmp_path):
    msd(tmp_path, "BRATS_001", modality={"0": "FLAIR", "1": "T1w"})
    (case,) = cases(tmp_path)
    with pytest.raises(ValueError, match=r"has 1 channel; expected 2 in all: FLAIR, T1w"):
        _ = case.image
    volume(tmp_path / "imagesTr/BRATS_001.nii.gz", channels=2)
    assert case.image.channels == 2


def test_nnunet_2_has_a_file_for_each_channel(tmp_path):
    nnunet(tmp_path, "amos_0001", "amos_0002")
    first, second = cases(tmp_path)
    assert (first.id, second.id, first.channels) == ("amos_0001", "amos_0002", ("FLAIR", "T1c"))
    assert [file.name for file in first.image_files] == [
        "amos_0001_0000.nii.gz",
        "amos_0001_0001.nii.gz",
    ]
    assert first.image.channels == 2


def test_nnunet_1_lists_images_without_their_channel(tmp_path):
    nnunet(tmp_path, "la_003", channels=("a", "b"))
    pairs = [{"image": "./imagesTr/la_003.nii.gz", "label": "./labelsTr/la_003.nii.gz"}]
    labels = {"0": "background", "1": "anterior", "2": "posterior"}
    written(tmp_path, modality={"0": "a", "1": "b"}, labels=labels, training=pairs, numTraining=1)
    (case,) = cases(tmp_path)
    assert case.id == "la_003"
    assert case.image.channels == 2


def test_nnunet_2_may_list_its_files(tmp_path):
    nnunet(tmp_path, "a", "b")
    images = ["imagesTr/b_0000.nii.gz", "imagesTr/b_0001.nii.gz"]
    dataset = {"b": {"images": images, "label": "labelsTr/b.nii.gz"}}
    nnunet(tmp_path, dataset=dataset, numTraining=1)
    (case,) = cases(tmp_path)
    assert (case.id, case.image.channels) == ("b", 2)


def test_one_picture_may_hold_the_colours_as_channels(tmp_path):
    colours = np.zeros((3, 6, 6), np.uint8)
    write_image(Image(colours, Geometry.in_pixels((6, 6))), tmp_path / "imagesTr/a_0000.png")
    write_image(Image(colours[:1], Geometry.in_pixels((6, 6))), tmp_path / "labelsTr/a.png")
    nnunet(tmp_path, channels=("R", "G", "B"), ending=".png", numTraining=1)
    (case,) = cases(tmp_path)
    assert case.image.channels == 3
    assert case.truth.classes.shape == (6, 6)


def test_regions_and_the_ignore_label_are_those_of_nnunet(tmp_path):
    labels = {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}
    nnunet(tmp_path, "a", labels=labels, regions_class_order=[1, 2])
    regions = LabelSet(
        (Label("whole", 1, includes=("core",)), Label("core", 2), Label("edge", 3, "ignore"))
    )
    assert "core 2, ignore 3 (ignore)" in refused(tmp_path, regions)
    regions = LabelSet((*regions.labels[:2], Label("ignore", 3, "ignore")))
    (case,) = cases(tmp_path, regions)
    assert case.truth.mask("whole").sum() > case.truth.mask("core").sum() > 0
    flat = LabelSet((Label("whole", 1), Label("core", 2), Label("ignore", 3, "ignore")))
    assert "whole 1 (with core)" in refused(tmp_path, flat)


@pytest.mark.parametrize(
    "labels",
    [
        LabelSet((Label("anterior", 2), Label("posterior", 1))),
        LabelSet((Label("anterior", 1),)),
        LabelSet((Label("front", 1), Label("posterior", 2))),
    ],
)
def test_labels_that_differ_are_refused_with_both(labels, tmp_path):
    told = refused(msd(tmp_path, "a"), labels)
    assert ", ".join(f"{label.name} {label.value}" for label in labels) in told
    assert "are Anterior 1, Posterior 2" in told


def test_values_merge_labels(tmp_path):
    whole = LabelSet((Label("hippocampus", 1),))
    (case,) = cases(msd(tmp_path, "a"), whole, values={"hippocampus": [1, 2]})
    both = cases(tmp_path)[0].truth
    np.testing.assert_array_equal(case.truth.mask("hippocampus"), both.classes > 0)


def test_cases_of_a_patient_stay_together(tmp_path):
    msd(tmp_path, *(f"p{n // 2}_{n % 2}" for n in range(10)))
    found = splits(tmp_path, group=r"(p\d+)_", split={"train": 0.6, "val": 0.2, "test": 0.2})
    groups = [{case.group for case in part} for part in found.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 5
    table = tmp_path / "cases.csv"
    table.write_text(
        "id,group,site\n" + "".join(f"p{n // 2}_{n % 2},g{n // 5},x\n" for n in range(10))
    )
    found = splits(tmp_path, table="cases.csv", split={"train": 0.5, "val": 0.5})
    assert {case.group for case in found["train"]} != {case.group for case in found["val"]}
    assert found["train"][0].columns["site"] == "x"


def test_the_folds_of_nnunet_are_a_split(tmp_path):
    msd(tmp_path, "a", "b", "c")
    folds = [{"train": ["a", "b"], "val": ["c"]}, {"train": ["b", "c"], "val": ["a"]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    assert [case.id for case in splits(tmp_path, split="splits_final.json")["val"]] == ["c"]
    assert [case.id for case in splits(tmp_path, split="splits_final.json:1")["val"]] == ["a"]
    assert "has 2 folds, and fold 2 is asked for" in refused(tmp_path, split="splits_final.json:2")
    assert "is in two splits" in refused(tmp_path, split="splits_final.json", group="()")
    (tmp_path / "splits_final.json").write_text(json.dumps([{"train": ["a"], "val": ["x"]}]))
    told = refused(tmp_path, split="splits_final.json")
    assert "2 cases are not in it: b, c; 1 of its ids are not cases: x" in told
    (tmp_path / "splits_final.json").write_text('{"train": []}')
    assert "a list of {'train': [ids], 'val': [ids]}" in refused(
        tmp_path, split="splits_final.json"
    )


def test_the_test_set_of_nnunet_is_a_split(tmp_path):
    nnunet(tmp_path, *"abcde")
    nnunet(tmp_path / "more", "t")
    for part in ("images", "labels"):
        (tmp_path / f"more/{part}Tr").rename(tmp_path / f"{part}Ts")
    found = splits(tmp_path, test_set=True)
    assert {name: len(part) for name, part in found.items()} == {"train": 4, "val": 1, "test": 1}
    assert found["test"][0].image_files[1] == tmp_path / "imagesTs/t_0001.nii.gz"
    assert "a split 'test' too" in refused(
        tmp_path, test_set=True, split={"train": 0.8, "test": 0.2}
    )
    assert "and in imagesTs (t). Scores" in refused(tmp_path, test_set=True, group="()")
    (tmp_path / "labelsTs/t.nii.gz").unlink()
    assert "1 of 1 images have no labels in labelsTs: t" in refused(tmp_path, test_set=True)
    assert len(cases(tmp_path)) == 5


def test_a_missing_part_is_told(tmp_path):
    assert "no such file. root must be the folder with dataset.json" in refused(tmp_path)
    (tmp_path / "dataset.json").write_text("{'labels': 1}")
    assert "dataset.json: not valid JSON" in refused(tmp_path)
    (tmp_path / "dataset.json").write_text("[]")
    assert "expected sections like 'labels', found []" in refused(tmp_path)
    msd(tmp_path, "a", labels=None)
    assert "labels is None; expected {'background': 0, 'liver': 1}" in refused(tmp_path)
    msd(tmp_path, "a", modality=None)
    assert "modality is None; expected the name of each channel" in refused(tmp_path)
    msd(tmp_path, "a", training=["./imagesTr/a.nii.gz"])
    assert "a training case is './imagesTr/a.nii.gz'; expected {'image'" in refused(tmp_path)
    msd(tmp_path, "a", "b", numTraining=3)
    assert "numTraining is 3, but there are 2 cases" in refused(tmp_path)
    (msd(tmp_path, "a", "b") / "labelsTr/b.nii.gz").unlink()
    assert f"1 of 4 files do not exist: {tmp_path}/labelsTr/b.nii.gz" in refused(tmp_path)


def test_a_missing_part_of_nnunet_is_told(tmp_path):
    nnunet(tmp_path, "a", "b", numTraining=3)
    assert "numTraining is 3, but there are 2 cases" in refused(tmp_path)
    (nnunet(tmp_path, "a", "b") / "imagesTr/b_0001.nii.gz").unlink()
    told = refused(tmp_path)
    assert "b has the channels _0000; expected _0000 to _0001" in told
    assert "names 2 channels (FLAIR, T1c). 1 of 2 cases are so" in told
    (tmp_path / "imagesTr/b_0000.nii.gz").unlink()
    assert "1 of 2 label files have no image in imagesTr: b" in refused(tmp_path)
    nnunet(tmp_path, "a", "b")
    (tmp_path / "labelsTr/a.nii.gz").unlink()
    assert "1 of 2 images have no labels in labelsTr: a" in refused(tmp_path)
    nnunet(tmp_path, file_ending=".mha")
    assert "no file that ends in .mha" in refused(tmp_path)


@pytest.mark.parametrize(
    "name", ["/etc/hosts.nii.gz", "../a.nii.gz", "imagesTr/../../a.nii.gz", "..\\a.nii.gz"]
)
def test_a_file_outside_the_folder_is_refused(name, tmp_path):
    msd(
        tmp_path / "data", training=[{"image": name, "label": "./labelsTr/a.nii.gz"}], numTraining=1
    )
    assert "is outside the folder of dataset.json" in refused(tmp_path / "data")


def test_the_real_hippocampi_as_the_decathlon_packs_them(real_data, tmp_path):
    source = real_data / "hippocampus_msd"
    root = tmp_path / "Task04_Hippocampus"
    for theirs, ours in (("imagesTr", "images"), ("labelsTr", "masks")):
        root.mkdir(exist_ok=True)
        (root / theirs).symlink_to(source / ours)
    ids = sorted(file.name for file in (source / "images").glob("*.nii.gz"))
    pairs = [{"image": f"./imagesTr/{id}", "label": f"./labelsTr/{id}"} for id in ids]
    msd(root, training=pairs, numTraining=182)
    found = splits(root, split={"train": 0.7, "val": 0.1, "test": 0.2}, stratify="labels")
    assert {name: len(part) for name, part in found.items()} == {
        "train": 127,
        "val": 18,
        "test": 37,
    }
    for case in found["test"]:
        assert case.truth.geometry == case.image.geometry
        assert case.truth.mask("anterior").any()
