"""The layout of the RSNA 2023 abdominal trauma challenge, and of slices made from it."""

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from delineate.audit import audit
from delineate.core import Geometry, Image, Label, LabelSet
from delineate.files import write_image
from delineate.resolve import Call, RecipeError, build

ORGANS = LabelSet(
    tuple(
        Label(name, value)
        for value, name in enumerate(
            ("liver", "spleen", "left kidney", "right-kidney", "Bowel"), start=1
        )
    )
)
SERIES = {"21057": "10004", "51033": "10004", "397": "10005", "48843": "10007"}
OTHERS = {"22": "10005"}
ALL = {"all": 1.0}
SHAPE = (6, 9, 8)  # slices, rows, columns
SPACING = (3.0, 0.7, 0.8)
POSITION = (-120.0, -90.0, 40.0)


def body(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """HU and organs, (slice, row, column), slices from the feet to the head."""
    rng = np.random.default_rng(seed)
    return rng.integers(-1000, 1500, SHAPE).astype(np.int16), rng.integers(0, 6, SHAPE).astype(
        np.uint8
    )


def write_series(folder: Path, hu: np.ndarray, patient: str, series: str) -> None:
    """Axial slices in files that are numbered from the head to the feet, as many scanners do."""
    folder.mkdir(parents=True)
    for number, z in enumerate(reversed(range(len(hu))), start=1):
        slice_ = pydicom.Dataset()
        slice_.SOPClassUID = CTImageStorage
        slice_.SOPInstanceUID = f"1.2.3.{patient}.{series}.{number}"
        slice_.StudyInstanceUID = f"1.2.3.{patient}"
        slice_.SeriesInstanceUID = f"1.2.3.{patient}.{series}"
        slice_.FrameOfReferenceUID = f"1.2.3.{patient}"
        slice_.Modality, slice_.PatientID, slice_.InstanceNumber = "CT", patient, number
        slice_.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        slice_.ImagePositionPatient = [*POSITION[:2], POSITION[2] + z * SPACING[0]]
        slice_.PixelSpacing, slice_.SliceThickness = list(SPACING[1:]), SPACING[0]
        slice_.Rows, slice_.Columns = hu.shape[1:]
        slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
        slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit = 16, 16, 15
        slice_.PixelRepresentation, slice_.RescaleSlope, slice_.RescaleIntercept = 0, 1, -1024
        slice_.PixelData = (hu[z].astype(np.int32) + 1024).astype(np.uint16).tobytes()
        slice_.file_meta = pydicom.dataset.FileMetaDataset()
        slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        pydicom.dcmwrite(folder / f"{number}.dcm", slice_, enforce_file_format=True)


def write_segmentation(path: Path, organs: np.ndarray, shift: float = 0.0) -> None:
    """The organs with axes to the patient's left, back and head, in RAS coordinates, as NIfTI tools write them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0])
    affine[:3, 3] = -POSITION[0] + shift, -POSITION[1], POSITION[2]
    stored = organs.transpose(2, 1, 0)[:, ::-1]  # rows from the back to the front
    affine[1, 3] -= SPACING[1] * (organs.shape[1] - 1)
    affine[1, 1] = SPACING[1]
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(stored), affine), path)


def write_tree(
    root: Path, series: dict[str, str], unsegmented: dict[str, str], meta: bool = True
) -> Path:
    """A tree of series, by number, each with its patient."""
    rows = []
    for number, patient in (series | unsegmented).items():
        hu, organs = body(int(number))
        write_series(root / "train_images" / patient / number, hu, patient, number)
        rows.append(f"{patient},{number},{100 + int(number)}.5,0")
        if number in series:
            write_segmentation(root / "segmentations" / f"{number}.nii", organs)
    if meta:
        table = "patient_id,series_id,aortic_hu,incomplete_organ\n" + "\n".join(rows) + "\n"
        (root / "train_series_meta.csv").write_text(table)
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Four series of three patients with segmentations, and one without; only to be read."""
    return write_tree(tmp_path_factory.mktemp("rsna"), SERIES, OTHERS)


def splits(root: Path, labels: LabelSet = ORGANS, **arguments):
    call = Call("rsna", {"root": str(root)} | arguments)
    return build("data", call, labels=labels, folder=root.parent, seed=0)


def cases(root: Path, labels: LabelSet = ORGANS, **arguments):
    return splits(root, labels, split=ALL, **arguments)["all"]


def refused(root: Path, labels: LabelSet = ORGANS, **arguments) -> str:
    with pytest.raises(RecipeError) as error:
        splits(root, labels, **({"split": ALL} | arguments))
    return str(error.value)


def test_series_with_a_segmentation_are_the_cases(tree):
    found = {case.id: case for case in cases(tree)}
    assert set(found) == {f"{patient}_{series}" for series, patient in SERIES.items()}
    case = found["10004_21057"]
    assert case.group == "10004"
    assert case.image_path == tree / "train_images/10004/21057"
    assert len(case.image_files) == 6
    assert case.truth_files == (tree / "segmentations/21057.nii",)
    assert dict(case.columns) == {"aortic_hu": "21157.5", "incomplete_organ": "0"}


def test_a_segmentation_is_turned_to_its_series(tree):
    for case in cases(tree):
        hu, organs = body(int(case.id.split("_")[1]))
        image, truth = case.image, case.truth
        np.testing.assert_array_equal(image.pixels[0], hu)
        np.testing.assert_array_equal(truth.classes, organs)
        assert truth.geometry == image.geometry


def test_all_series_of_a_patient_are_in_one_split(tree):
    found = splits(tree, split={"train": 0.4, "val": 0.3, "test": 0.3})
    groups = [{case.group for case in part} for part in found.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 3
    assert sum(len(part) for part in found.values()) == 4


def test_the_audit_reads_every_case(tree):
    seen = audit(splits(tree), ORGANS, progress=False)
    assert not [f for f in seen.findings if f.check in ("unreadable", "misplaced", "mask_values")]


@pytest.mark.parametrize("shift", [4.0, -0.1])
def test_a_segmentation_elsewhere_is_refused(shift, tmp_path):
    write_tree(tmp_path, {"1": "7"}, {})
    write_segmentation(tmp_path / "segmentations/1.nii", body(1)[1], shift)
    (case,) = cases(tmp_path)
    with pytest.raises(ValueError, match=rf"position in the patient, by up to {abs(shift):g} mm"):
        _ = case.truth
    write_segmentation(tmp_path / "segmentations/1.nii", body(1)[1][1:])
    with pytest.raises(ValueError, match=r"shape \(6, 9, 8\) against \(5, 9, 8\)"):
        _ = case.truth


def test_organs_that_are_not_named_are_background(tree):
    kidneys = LabelSet((Label("left_kidney", 1), Label("right_kidney", 2)))
    case = cases(tree, kidneys)[0]
    organs = body(int(case.id.split("_")[1]))[1]
    expected = np.select([organs == 3, organs == 4], [1, 2])
    np.testing.assert_array_equal(case.truth.classes, expected)
    merged = LabelSet((Label("kidneys", 1),))
    assert "'kidneys' is none of this data's labels" in refused(tree, merged)
    values = {"kidneys": [3, 4], "background": [0, 1, 2, 5]}
    np.testing.assert_array_equal(cases(tree, merged, values=values)[0].truth.classes, expected > 0)


def test_a_tree_that_does_not_fit_is_refused(tmp_path):
    write_tree(tmp_path, {"1": "7", "2": "8"}, {}, meta=False)
    assert not cases(tmp_path)[0].columns
    meta = tmp_path / "train_series_meta.csv"
    meta.write_text("patient_id,series_id\n7,1\n")
    assert "has no row for the series 2" in refused(tmp_path)
    meta.write_text("patient_id,series_id\n7,1\n7,2\n")
    assert "the series 2 is of patient 7, but it is in" in refused(tmp_path)
    meta.write_text("patient,series_id\n7,1\n")
    assert "expected patient_id too" in refused(tmp_path)
    meta.unlink()
    (tmp_path / "train_images/9/2").mkdir(parents=True)
    assert "have the same series number" in refused(tmp_path)
    (tmp_path / "train_images/9/2").rmdir()
    write_segmentation(tmp_path / "segmentations/2.nii.gz", body(2)[1])
    assert "are segmentations of one series" in refused(tmp_path)
    (tmp_path / "segmentations/2.nii.gz").rename(tmp_path / "segmentations/3.nii.gz")
    assert "1 of 3 segmentations have no series" in refused(tmp_path)
    assert "group is for form: png only" in refused(tmp_path, group="(x)")
    assert "images: no such folder" in refused(tmp_path, form="png")


def picture(path: Path, value: int) -> None:
    pixels = np.full((1, 4, 5), value, np.uint8)
    write_image(Image(pixels, Geometry.in_pixels((4, 5))), path)


def slices(root: Path, *names: str) -> Path:
    for name in names:
        picture(root / f"images/{name}.png", 100)
        picture(root / f"masks/{name}.png", 3)
    return root


@pytest.mark.parametrize(
    "names",
    [
        ("10004_21057_001", "10004_51033_002", "10005_397_001"),
        ("10004_001", "10004_002", "10005_001"),
        ("10004/21057/001", "10004/51033/001", "10005/397/001"),
        ("10004/001", "10004/002", "10005/001"),
    ],
)
def test_slices_of_one_patient_are_never_on_both_sides(names, tmp_path):
    found = splits(slices(tmp_path, *names), split={"train": 0.5, "val": 0.5})
    sides = {case.id: (case.group, name) for name, part in found.items() for case in part}
    assert {id: group for id, (group, _) in sides.items()} == {n: n[:5] for n in names}
    assert len(set(sides.values())) == 2
    assert found["train"][0].truth.mask("left kidney").all()


@pytest.mark.parametrize(
    ("names", "whole"),
    [
        (("1_11/1", "1_12/1", "2_21/1"), "([^/]+)/"),
        (("1-11/1", "1-12/1", "2-21/1"), "([^/]+)/"),
        (("1-11_1", "1-12_1", "2-21_1"), "([^_]+)_"),
    ],
)
def test_numbers_that_may_be_a_patient_and_a_series_need_a_group(names, whole, tmp_path):
    slices(tmp_path, *names)
    said = refused(tmp_path)
    assert names[0][:4] in said
    for group, patients in ((r"(\d+)[_-]", {"1", "2"}), (whole, {n[:4] for n in names})):
        assert f"group: '{group}'" in said
        assert {case.group for case in cases(tmp_path, group=group)} == patients


def test_an_expression_gives_the_patient_of_other_names(tmp_path):
    slices(tmp_path, "patient_1_001", "patient_1_002", "patient_2_001")
    assert "1 groups cannot fill 2 splits" in refused(tmp_path, split={"train": 0.5, "val": 0.5})
    found = splits(tmp_path, split={"train": 0.5, "val": 0.5}, group=r"(patient_\d+)_")
    assert sorted(len(part) for part in found.values()) == [1, 2]
    assert "slices of one patient into several splits" in refused(tmp_path, group="{stem}")
    assert "the slice '001' has no patient" in refused(slices(tmp_path / "b", "001"))


def test_slices_that_do_not_pair_are_refused(tmp_path):
    slices(tmp_path, "a_1", "a_2")
    (tmp_path / "images/.a_3.png").write_bytes(b"")
    assert len(cases(tmp_path)) == 2
    (tmp_path / "masks/a_2.png").unlink()
    assert "1 of 2 slices have no mask: a_2" in refused(tmp_path)
    picture(tmp_path / "masks/a_2.png", 1)
    picture(tmp_path / "masks/b_2.png", 1)
    assert "1 of 3 masks have no slice: b_2" in refused(tmp_path)


def test_the_form_is_that_of_the_folders(tmp_path):
    (tmp_path / "scans").mkdir()
    assert "expected the folders train_images and segmentations (DICOM)" in refused(tmp_path)
    slices(tmp_path, "a_1")
    (tmp_path / "train_images").mkdir()
    assert len(cases(tmp_path)) == 1
    (tmp_path / "segmentations").mkdir()
    assert "write form: dicom or form: png" in refused(tmp_path)
    assert len(cases(tmp_path, form="png")) == 1
    assert "no .nii or .nii.gz in it" in refused(tmp_path, form="dicom")


def test_the_slices_of_a_real_body_are_one_group(real_data):
    root = real_data / "abdomen_ct_totalseg/png_slices"
    found = cases(root)
    assert len(found) == 112
    assert {case.group for case in found} == {"ct"}
    shown = {name for case in found for name in ORGANS.names if case.truth.shows(name)}
    assert shown == set(ORGANS.names)
    assert "1 groups cannot fill 3 splits" in refused(
        root, split={"train": 0.8, "val": 0.1, "test": 0.1}
    )
