"""From files of one format to files of another: values and places in the patient stay, or a warning names the loss."""

import csv
import itertools
import os
import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from delineate import convert, load_cases, load_recipe, read_image, read_mask
from delineate.cli import main
from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
from delineate.files import write_image, write_mask
from delineate.resolve import names, resolve

FORMATS = {name: resolve("formats", name) for name in names("formats")}
VOLUMES = [name for name, form in FORMATS.items() if form.write and form.volumes]
PLACED = [name for name in VOLUMES if FORMATS[name].axes == "xyz"]
FLAT = [name for name, form in FORMATS.items() if form.write and not form.volumes]
SHAPE, SPACING = (5, 4, 3), (0.7, 1.3, 5.1)
ORIENTATIONS = [
    (order, flips)
    for order in itertools.permutations(range(3))
    for flips in itertools.product((False, True), repeat=3)
]


def oblique(degrees=(7, -11, 5)):
    """A rotation by small angles, so that the nearest axes are known."""
    x, y, z = np.radians(degrees)
    rows = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    pitch = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    yaw = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    return np.array(rows) @ pitch @ yaw


def scan(matrix=None, dtype=np.int16):
    """A volume in LPS whose samples all differ, some below 0 where the dtype has such values."""
    affine = np.eye(4)
    affine[:3, :3] = (oblique() if matrix is None else matrix) * SPACING
    affine[:3, 3] = (-203.4, 117.9, -1503.6)
    pixels = np.arange(np.prod(SHAPE)).reshape(1, *SHAPE)
    pixels = pixels - (20 if np.dtype(dtype).kind != "u" else 0)
    return Image(pixels.astype(dtype), Geometry.in_patient(SHAPE, affine))


def turned(image, order, flips):
    pixels = image.pixels.transpose(0, *[axis + 1 for axis in order])
    pixels = pixels[(slice(None), *[slice(None, None, -1 if flip else 1) for flip in flips])]
    return Image(pixels, image.geometry.reordered(order, flips))


def places(image):
    """Each sample, sorted by value, with its position in the patient: whatever the order of the axes."""
    index = np.indices(image.geometry.shape).reshape(image.geometry.ndim, -1)
    ends = np.vstack([index, np.ones(index.shape[1])])
    values = image.pixels[0].ravel()
    order = np.argsort(values)
    return values[order], (image.geometry.to_patient[:3] @ ends).T[order]


def same_samples(image, other):
    """Each sample of a grid is one of the other grid, with the same value; values may repeat."""
    square = [np.vstack([i.geometry.to_patient[:3], [0, 0, 0, 1]]) for i in (image, other)]
    index = np.indices(image.geometry.shape).reshape(3, -1)
    there = (np.linalg.inv(square[1]) @ square[0] @ np.vstack([index, np.ones(index.shape[1])]))[:3]
    assert (np.abs(there - np.rint(there)).T * other.geometry.spacing).max() < 1e-3
    assert np.array_equal(
        image.pixels[0].ravel(), other.pixels[0][tuple(np.rint(there).astype(int))]
    )


def same_places(image, other):
    (values, at), (known, where) = places(image), places(other)
    assert image.pixels.dtype == other.pixels.dtype
    assert np.array_equal(values, known)
    assert np.abs(at - where).max() < 1e-4


def by_itk(path):
    """The image as SimpleITK reads it; its arrays are (z, y, x)."""
    read = SimpleITK.ReadImage(str(path))
    direction = np.array(read.GetDirection()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = direction * read.GetSpacing(), read.GetOrigin()
    pixels = SimpleITK.GetArrayFromImage(read).T
    return Image(pixels[None], Geometry.in_patient(pixels.shape, affine))


@pytest.fixture(scope="module")
def all_orientations(tmp_path_factory):
    """For each format that holds a volume, a folder with the same scan in all 48 orientations."""
    home = tmp_path_factory.mktemp("orientations")
    for name in VOLUMES:
        for i, way in enumerate(ORIENTATIONS):
            write_image(turned(scan(), *way), home / name / f"{i:02d}{FORMATS[name].suffixes[0]}")
    return home


def test_there_are_formats_to_convert():
    assert {"nifti", "nrrd", "metaimage"} <= set(PLACED)
    assert {"png", "jpeg", "bmp"} <= set(FLAT)
    assert len(ORIENTATIONS) == 48


@pytest.mark.parametrize(("source", "target"), [*itertools.product(VOLUMES, VOLUMES)])
def test_a_scan_keeps_values_and_places_in_all_orientations(
    source, target, all_orientations, tmp_path, capsys
):
    done = convert(all_orientations / source, tmp_path, to=target)
    assert (done.images, done.failures, len(done.files)) == (48, {}, 48)
    said = capsys.readouterr().err
    viewed = scan().pixels.transpose(0, 3, 2, 1)  # slices, rows, columns of a scan in LPS
    for i, way in enumerate(ORIENTATIONS):
        found = read_image(tmp_path / f"{i:02d}{FORMATS[target].suffixes[0]}")
        given = turned(scan(), *way)
        if source in PLACED and target in PLACED:
            same_places(found, scan())
            assert np.array_equal(found.pixels, given.pixels)
        elif source in PLACED:
            assert np.array_equal(found.pixels, viewed), "a picture is in radiological view"
            assert "TIFF holds neither spacing nor position" in said
        elif target in PLACED:
            assert np.array_equal(found.pixels, given.pixels.transpose(0, 3, 2, 1))
            assert (found.geometry.unit == "px") or "the spacing is unknown" in said
        else:
            assert np.array_equal(found.pixels, given.pixels)


@pytest.mark.parametrize("target", PLACED)
def test_simpleitk_reads_what_was_written_at_the_same_places(target, all_orientations, tmp_path):
    convert(all_orientations / "nrrd", tmp_path, to=target)
    for i in range(len(ORIENTATIONS)):
        same_places(by_itk(tmp_path / f"{i:02d}{FORMATS[target].suffixes[0]}"), scan())


@pytest.mark.parametrize("target", PLACED)
@pytest.mark.parametrize("letters", ["RAS", "LPS", "SPL", "PIR"])
def test_axes_are_turned_on_request_and_places_stay(letters, target, all_orientations, tmp_path):
    convert(all_orientations / "nifti", tmp_path, to=target, orient=letters)
    ways = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
    for path in tmp_path.iterdir():
        found = read_image(path)
        same_places(found, scan())
        for axis, letter in enumerate(letters):
            world, sign = ways[letter]
            assert (
                found.geometry.to_patient[world, axis] * sign > 0.9 * found.geometry.spacing[axis]
            )


@pytest.mark.parametrize("target", PLACED)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_the_dtype_stays(dtype, target, tmp_path):
    write_image(scan(dtype=dtype), tmp_path / "a.nrrd")
    convert(tmp_path / "a.nrrd", tmp_path / "out", to=target)
    same_places(read_image(next((tmp_path / "out").iterdir())), scan(dtype=dtype))


@pytest.mark.parametrize("target", PLACED)
def test_axes_that_are_not_at_right_angles_stay(target, tmp_path, capsys):
    sheared = np.eye(3)
    sheared[0, 2] = 0.3
    write_image(scan(sheared), tmp_path / "a.nii.gz")
    convert(tmp_path / "a.nii.gz", tmp_path / "out", to=target)
    found = read_image(next((tmp_path / "out").iterdir()))
    same_places(found, scan(sheared))
    assert "the axes are not at right angles" in capsys.readouterr().err


@pytest.mark.parametrize("target", VOLUMES)
def test_label_maps_keep_their_values(target, all_orientations, tmp_path):
    values = np.random.default_rng(0).integers(0, 400, SHAPE).astype(np.uint16)
    values[0, 0, 0] = 400
    labels = LabelSet((Label("last", 400),))
    for source in ("nifti", "tiff"):
        file = tmp_path / f"a{FORMATS[source].suffixes[0]}"
        write_mask(Segmentation(values, labels, scan().geometry), file)
        done = convert(file, tmp_path / source, to=target, masks=True)
        found = read_mask(done.files[0]).pixels[0]
        assert found.dtype == np.uint16
        same = FORMATS[source].axes == FORMATS[target].axes
        assert np.array_equal(found, values if same else values.T)


def test_nifti_keeps_the_codes_of_nifti(tmp_path):
    """Such as those of MNI space."""
    image = nibabel.Nifti1Image(np.ones((3, 4, 5), np.int16), None)
    image.set_sform(np.diag([-2.0, 2, 2, 1]), 4)
    image.set_qform(np.diag([-2.0, 2, 2, 1]), 2)
    nibabel.save(image, tmp_path / "a.nii")
    for masks in (False, True):
        (path,) = convert(tmp_path / "a.nii", tmp_path / str(masks), to="nii.gz", masks=masks).files
        header = nibabel.load(path).header
        assert (int(header["sform_code"]), int(header["qform_code"])) == (4, 2)
    (path,) = convert(tmp_path / "a.nii", tmp_path / "turned", to="nii.gz", orient="RPI").files
    assert int(nibabel.load(path).header["sform_code"]) == 1, "the place of another grid is new"


# --- slices ---------------------------------------------------------------------------------------------------------


def body(patient):
    """A body in LPS: a liver at the right, a spine at the back, a ramp from feet to head; patients differ a little."""
    shape = (20, 16, 6)
    pixels = np.full(shape, -1000, np.int16)
    pixels[3:17, 3:13] = 40 + 10 * np.arange(6)
    pixels[9:13, 4:9] = np.random.default_rng(patient).integers(-120, 220, (4, 5, 6))
    pixels[4:8, 5:9] = 120  # low index along L: the patient's right
    pixels[9:11, 11:13] = 900  # high index along P: the back
    truth = np.zeros(shape, np.uint8)
    truth[4:8, 5:9] = 1
    truth[9:11, 11:13] = 2
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    affine[:3, 3] = (-20, -16, 100)
    return Image(pixels[None], Geometry.in_patient(shape, affine)), truth


@pytest.fixture
def bodies(tmp_path):
    """Scans of four patients and their masks, each in another orientation."""
    labels = LabelSet((Label("liver", 1), Label("spine", 2)))
    for i, way in enumerate([ORIENTATIONS[0], ORIENTATIONS[7], ORIENTATIONS[21], ORIENTATIONS[40]]):
        image, truth = body(i)
        given = turned(image, *way)
        classes = turned(Image(truth[None], image.geometry), *way)
        write_image(given, tmp_path / f"scans/p{i}/ct.nii.gz")
        write_mask(
            Segmentation(classes.pixels[0], labels, classes.geometry),
            tmp_path / f"labels/p{i}/ct.nii.gz",
        )
    return tmp_path


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_slices_of_a_scan_are_in_radiological_view(bodies, capsys):
    out = bodies / "png"
    words = ["convert", str(bodies / "scans"), "-o", str(out), "--to", "png", "--window", "50/400"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "4 of 4 images converted" in said.out
    assert "24 files in" in said.out
    assert "and 3 more: PNG holds neither spacing nor position: slices.csv has them." in said.err
    for patient in range(4):
        for n in range(1, 7):
            picture = read_image(out / f"p{patient}/ct/p{patient}_ct_{n:04d}.png").pixels[0]
            assert picture.shape == (16, 20), "rows from front to back, columns from right to left"
            assert picture[6, 5] == round((120 - 50 + 200) / 400 * 255), "the liver is at the left"
            assert picture[11, 9] == 255, "the spine is at the bottom"
            assert picture[4, 15] == np.rint((40 + 10 * (n - 1) + 150) / 400 * 255), "feet first"
            assert picture[0, 0] == 0


def test_the_table_of_slices_has_what_pictures_cannot_hold(bodies):
    convert(bodies / "scans", bodies / "png", to="png", window="abdomen")
    rows = table(bodies / "png/slices.csv")
    assert len(rows) == 24
    for row in rows:
        assert (bodies / "png" / row["image"]).is_file()
        assert Path(row["image"]).stem == row["id"]
        assert row["case"] == row["group"] == row["id"].rsplit("_", 1)[0].replace("_", "/")
        assert (row["spacing_slice"], row["spacing_row"], row["spacing_column"]) == ("5", "2", "2")
        assert float(row["position"]) == 100 + 5 * (int(row["slice"]) - 1)


@pytest.fixture
def slices(bodies):
    """A recipe for slices of the scans and of their masks."""
    for folder, options in {"scans": ["--window", "50/400"], "labels": ["--masks"]}.items():
        out = bodies / "png" / folder
        words = ["convert", str(bodies / folder), "-o", str(out), "--to", "png", *options]
        assert main(words) == 0
    recipe = bodies / "slices.yaml"
    recipe.write_text(
        """\
data:
  folder:
    root: png
    images: scans/**/*.png
    masks: labels/**/*.png
    table: scans/slices.csv
    split: {train: 0.5, val: 0.25, test: 0.25}
labels: {liver: {value: 1}, spine: {value: 2}}
prepare: [{resize: {shape: [16, 32]}}, {standardize: {by: values, mean: [100], std: [50]}}]
model: {unet: {features: [4, 8]}}
loss: dice
optimizer: {adamw: {lr: 1.0e-2}}
trainer: {epochs: 1, batch_size: 6, device: cpu, loggers: []}
metrics: [dice]
audit: {allow: [near_duplicates_across_splits]}
"""
    )
    return recipe


def test_slices_are_split_by_patient(slices):
    splits = load_cases(load_recipe(slices))
    assert {split: len(cases) for split, cases in splits.items()} == {
        "train": 12, "val": 6, "test": 6,
    }  # fmt: skip
    groups = [{case.group for case in cases} for cases in splits.values()]
    assert sum(map(len, groups)) == 4
    for case in splits["test"]:
        assert case.truth.classes[6, 5] == 1
        assert case.image.pixels[0, 6, 5] == 172


def test_series_of_one_patient_are_one_group(write_series, tmp_path):
    pixels = np.zeros((2, 4, 4), np.int16)
    for n, who in enumerate(("P1", "P2", "P1")):
        write_series(tmp_path / f"in/s{n}", pixels, uid=f"1.2.{n}", PatientID=who)
    convert(tmp_path / "in", tmp_path / "png", to="png", window="abdomen")
    groups = {row["case"]: row["group"] for row in table(tmp_path / "png/slices.csv")}
    assert groups == {"s0": "s0", "s1": "s1", "s2": "s0"}
    for name in ("slices.csv", ".slices.key"):
        assert b"P1" not in (tmp_path / "png" / name).read_bytes()


@pytest.fixture
def of_patients(write_series, tmp_path):
    """Convert series, given as name=PatientID, into one folder; returns the group of each case in the table."""

    def groups(overwrite=False, **patients):
        inputs = []
        for name, who in patients.items():
            pixels, folder = np.zeros((2, 4, 4), np.int16), tmp_path / "in" / name
            inputs.append(write_series(folder, pixels, uid=f"1.2.{len(name)}", PatientID=who))
        done = convert(inputs, tmp_path / "png", to="png", window="abdomen", overwrite=overwrite)
        assert not done.failures
        return {row["case"]: row["group"] for row in table(done.table)}

    return groups


def test_a_patient_is_one_group_over_several_calls(of_patients, tmp_path):
    of_patients(a="P1")
    of_patients(b="P2")
    assert of_patients(c="P1", d="P2", e="P3") == {"a": "a", "b": "b", "c": "a", "d": "b", "e": "e"}
    digests = {row["case"]: row["patient"] for row in table(tmp_path / "png/slices.csv")}
    assert digests["a"] == digests["c"] != digests["b"]


def test_a_case_in_the_table_keeps_its_group(of_patients):
    of_patients(a="P1", b="P1")
    assert of_patients(overwrite=True, b="P1") == {"a": "a", "b": "a"}
    again = of_patients(overwrite=True, b="P1", a="P1")  # now b is the first
    assert again == {"a": "a", "b": "a"}


def test_a_group_that_a_person_wrote_stays(of_patients, tmp_path):
    of_patients(a="P1", n=None)
    path = tmp_path / "png/slices.csv"
    path.write_text(path.read_text().replace(",a,a,", ",a,mine,").replace(",n,n,", ",n,mine too,"))
    found = of_patients(overwrite=True, a="P1", n=None, c="P1")
    assert found == {"a": "mine", "n": "mine too", "c": "mine"}


def test_another_patient_under_the_name_of_a_case_gets_the_group_of_that_patient(of_patients):
    of_patients(a="P1", b="P2", c="P2")
    assert of_patients(overwrite=True, a="P2") == {"b": "b", "c": "b", "a": "b"}


def test_patients_whose_key_is_lost_are_not_taken_for_others(of_patients, tmp_path):
    of_patients(a="P1")
    key = tmp_path / "png/.slices.key"
    key.unlink()
    with pytest.raises(ValueError, match=r"\.slices\.key: is missing, so the patients"):
        of_patients(b="P1")
    assert not (tmp_path / "png/b").exists()
    assert of_patients(overwrite=True, a="P1") == {"a": "a"}
    key.write_bytes(b"short")
    with pytest.raises(ValueError, match="has 5 bytes; expected 32"):
        of_patients(b="P1")


@pytest.mark.slow
def test_slices_train_two_steps(slices, tmp_path):
    assert main(["train", str(slices), "-o", str(tmp_path / "run")]) == 0


def test_slices_of_masks_match_those_of_the_image(bodies):
    convert(bodies / "scans", bodies / "a", to="png", window="liver")
    convert(bodies / "labels", bodies / "b", to="png", masks=True)
    files = [sorted(p.relative_to(bodies / f) for p in (bodies / f).rglob("*.png")) for f in "ab"]
    assert files[0] == files[1]
    for file in files[0]:
        mask = read_mask(bodies / "b" / file).pixels[0]
        assert np.array_equal(np.unique(mask), [0, 1, 2])
        assert mask[6, 5] == 1


@pytest.mark.parametrize("name", FLAT)
def test_every_format_of_pictures_takes_slices(name, bodies):
    done = convert(bodies / "scans/p2", bodies / "out", to=name, window=(50, 400))
    assert len(done.files) == 6
    picture = read_image(done.files[2]).pixels[0].astype(int)
    assert abs(picture[6, 5] - 172) < 12


def test_windows_are_rounded_clipped_and_have_8_or_16_bits(tmp_path):
    values = np.array([[-200, -150, -149, 50, 249, 250, 3000, 51]], np.int16).T
    write_image(Image(values[None], Geometry.in_pixels(values.shape)), tmp_path / "a.tif")
    for bits in (8, 16):
        done = convert(
            tmp_path / "a.tif", tmp_path / str(bits), to="png", window="50/400", bits=bits
        )
        found = read_image(done.files[0]).pixels[0]
        exact = np.clip((values - 50.0) / 400 + 0.5, 0, 1) * (2**bits - 1)
        assert found.dtype == f"uint{bits}"
        assert np.abs(found - exact).max() <= 0.5 + 1e-2
    done = convert(tmp_path / "a.tif", tmp_path / "rgb", to="png", window="lung,abdomen,bone")
    assert read_image(done.files[0]).channels == 3


def test_coronal_slices_on_request(bodies):
    done = convert(bodies / "scans/p1", bodies / "out", to="png", window="50/400", orient="PIL")
    assert len(done.files) == 16
    picture = read_image(done.files[6]).pixels[0]
    assert picture.shape == (6, 20)
    assert picture[0, 15] > picture[5, 15], "head at the top"
    assert (picture[:, 5] == 172).all()


def test_a_slice_with_a_place_becomes_a_picture_in_radiological_view(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    affine = np.array([[0, -1.0, 5], [-1.0, 0, 7], [0, 0, 40], [0, 0, 1]])  # axes A and R
    write_image(Image(pixels, Geometry.in_patient((3, 4), affine)), tmp_path / "a.nii.gz")
    convert(tmp_path / "a.nii.gz", tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png").pixels, pixels[:, ::-1, ::-1])


# --- DICOM ----------------------------------------------------------------------------------------------------------


def series():
    """An oblique series: axes (slice, row, column), the slices going up."""
    image = scan()
    return Image(
        image.pixels.transpose(0, 3, 2, 1), image.geometry.reordered((2, 1, 0), [False] * 3)
    )


@pytest.fixture
def write(write_series):
    """Write an image with axes (slice, row, column) as a series."""

    def in_order(image, folder, **attributes):
        grid = image.geometry
        step, row, column, first = grid.to_patient[:3].T
        if np.cross(column, row) @ step < 0:  # the fixture stacks slices along their normal
            in_order(turned(image, (0, 1, 2), (True, False, False)), folder, **attributes)
            return
        cosines = np.round([*column / grid.spacing[2], *row / grid.spacing[1]], 11)
        write_series(
            folder,
            image.pixels[0],
            spacing=tuple(round(n, 10) for n in grid.spacing),
            origin=first,
            orientation=tuple(map(float, cosines)),
            **attributes,
        )

    return in_order


def by_dcm2niix(folder, out):
    out.mkdir()
    words = ["dcm2niix", "-z", "n", "-b", "n", "-f", "scan", "-o", str(out), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.nii")
    return read_image(path)


def by_gdcm(folder, out):
    """The series as SimpleITK reads it by its usual recipe."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    path = out.with_suffix(".nrrd")
    SimpleITK.WriteImage(reader.Execute(), str(path))
    return by_itk(path)


OTHERS = [
    by_gdcm,
    # slow, for it is not one of our dependencies: a program outside may fail for reasons of its own
    pytest.param(
        by_dcm2niix,
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(not shutil.which("dcm2niix"), reason="dcm2niix is not installed"),
        ],
    ),
]


@pytest.mark.parametrize("target", PLACED)
def test_a_series_becomes_one_file_at_the_same_place(target, write, tmp_path):
    write(series(), tmp_path / "ct")
    done = convert(tmp_path / "ct", tmp_path / "out", to=target)
    (path,) = done.files
    assert path.name == f"ct{FORMATS[target].suffixes[0]}"
    found = read_image(path)
    same_places(found, series())
    same_places(found, by_itk(path))
    assert found.geometry.shape == SHAPE, "columns, rows, slices"


def test_series_keep_values_and_places_in_all_orientations(write, tmp_path):
    for i, way in enumerate(ORIENTATIONS):
        write(turned(scan(), *way), tmp_path / f"series/{i:02d}")
    done = convert(tmp_path / "series", tmp_path / "out", to="nrrd")
    assert (len(done.files), done.failures) == (48, {})
    for path in done.files:
        same_places(read_image(path), scan())


@pytest.mark.parametrize("by_other", OTHERS)
def test_a_series_has_the_places_that_other_tools_find(by_other, write, tmp_path):
    write(series(), tmp_path / "ct")
    found = read_image(convert(tmp_path / "ct", tmp_path / "a.nii.gz").files[0])
    other = by_other(tmp_path / "ct", tmp_path / "other")
    same_places(found, Image(other.pixels.astype(np.int16), other.geometry))


STUDIES = (
    "mr_series_t1post",
    "mr_series_hippocrop",
    "ct3_series_with_seg/series",
    "tiny_series_23x38x3/image",
)


@pytest.mark.parametrize("by_other", OTHERS)
@pytest.mark.parametrize("name", STUDIES)
def test_real_series_have_the_places_that_other_tools_find(name, by_other, real_data, tmp_path):
    shutil.copytree(real_data / "dicom_zoo" / name, tmp_path / "series")
    found = read_image(convert(tmp_path / "series", tmp_path / "a.nii.gz").files[0])
    other = by_other(tmp_path / "series", tmp_path / "other")
    # of CT other tools keep a padding value below the scale
    known = np.maximum(other.pixels.astype(np.int32), -1024)
    same_samples(found, Image(known, other.geometry))


def test_series_become_slices_in_radiological_view(write, bodies):
    image, _ = body(0)
    grid = image.geometry.reordered((2, 1, 0), [False] * 3)
    write(Image(image.pixels.transpose(0, 3, 2, 1), grid), bodies / "dicom/study/ct")
    convert(bodies / "dicom", bodies / "a", to="png", window="50/400")
    convert(bodies / "scans/p0", bodies / "b", to="png", window="50/400")
    for i in range(1, 7):
        pictures = [bodies / f"a/study/ct/study_ct_{i:04d}.png", bodies / f"b/ct/ct_{i:04d}.png"]
        assert np.array_equal(*[read_image(path).pixels for path in pictures])


def test_each_series_of_a_folder_gets_its_own_file(write, tmp_path):
    later = Image(series().pixels + 1, series().geometry)
    write(series(), tmp_path / "study", SeriesDescription="venous", name="v{}")
    write(later, tmp_path / "study", uid="1.2.4", SeriesDescription="late", name="l{}")
    done = convert(tmp_path / "study", tmp_path / "out", to="nifti")
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in done.files) == [
        "study/late.nii.gz", "study/venous.nii.gz",
    ]  # fmt: skip
    same_places(read_image(tmp_path / "out/study/late.nii.gz"), later)


# --- names, refusals ------------------------------------------------------------------------------------------------


def test_one_file_becomes_one_file(tmp_path, capsys):
    write_image(scan(), tmp_path / "a.nii.gz")
    assert main(["convert", str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "b/a.mha")]) == 0
    assert f"file: {tmp_path / 'b/a.mha'}" in capsys.readouterr().out
    same_places(read_image(tmp_path / "b/a.mha"), scan())


def test_pictures_come_back_the_same_and_are_indexed_as_in_itk(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 7, 5), dtype=np.uint8)
    write_image(Image(pixels, Geometry.in_pixels((7, 5))), tmp_path / "a.png")
    for name in ("nrrd", "mha"):
        convert(tmp_path / "a.png", tmp_path / f"a.{name}")
        read = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / f"a.{name}")))
        assert np.array_equal(read, np.moveaxis(pixels, 0, -1))
        convert(tmp_path / f"a.{name}", tmp_path / f"{name}.png")
        assert np.array_equal(read_image(tmp_path / f"{name}.png").pixels, pixels)


def test_the_structure_of_a_folder_stays(bodies):
    convert(bodies / "scans", bodies / "out", to="nrrd")
    assert sorted(p.relative_to(bodies / "out").as_posix() for p in (bodies / "out").rglob("*.*")) == [
        f"p{i}/ct.nrrd" for i in range(4)
    ]  # fmt: skip


def test_what_cannot_be_converted_is_named_and_the_rest_is_converted(bodies, capsys):
    (bodies / "scans/broken.nii.gz").write_bytes(b"nothing")
    words = ["convert", str(bodies / "scans"), "-o", str(bodies / "out"), "--to", "nrrd"]
    assert main(words) == 2
    said = capsys.readouterr()
    assert "4 of 5 images converted, 1 failed" in said.out
    assert "broken.nii.gz: is text that begins with 'nothing'" in said.err
    assert "1 of the images could not be converted" in said.err
    assert len(list((bodies / "out").rglob("*.nrrd"))) == 4


def test_a_format_that_cannot_hold_the_values_refuses_and_leaves_nothing(bodies, capsys):
    words = ["convert", str(bodies / "scans/p0"), "-o", str(bodies / "out"), "--to", "png"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "PNG holds uint8 or uint16, but these pixels are int16" in said
    assert "--window 50/400" in said
    assert not (bodies / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "out"], "Give it with --to"),
        (["-o", "out", "--to", "nifty"], "no such format; did you mean 'nifti'?"),
        (["-o", "out", "--to", "gif"], "GIF can be read but not written"),
        (["-o", "out", "--to", "jpeg", "--masks"], "would change the values of masks"),
        (["-o", "out", "--to", "png", "--masks", "--window", "liver"], "masks keep theirs"),
        (["-o", "out", "--to", "png", "--bits", "16"], "bits is for a window"),
        (["-o", "out", "--to", "png", "--window", "lever"], "there is no window 'lever'"),
        (["-o", "out", "--to", "png", "--window", "-60/0"], "a width above 0"),
        (["-o", "out", "--to", "nrrd", "--orient", "RRS"], "expected one letter of L/R"),
        (["-o", "a.nrrd"], "is one file, but there are 4 images"),
        (["-o", "scans/p0/ct.nii.gz/x", "--to", "nrrd"], "is a file, but a folder is needed there"),
        (["-o", "a.nrrd", "--to", "nifti"], "the ending of another format"),
    ],
)
def test_what_contradicts_itself_is_refused(words, said, bodies, monkeypatch, capsys):
    monkeypatch.chdir(bodies)
    assert main(["convert", "scans", *words]) == 2
    assert said in capsys.readouterr().err
    assert sorted(p.name for p in bodies.iterdir()) == ["labels", "scans"]


def test_a_volume_is_no_single_picture(bodies, capsys):
    scan = str(bodies / "scans/p0/ct.nii.gz")
    assert main(["convert", scan, "-o", str(bodies / "a.png"), "--window", "liver"]) == 2
    assert "is a volume, which becomes one .png per slice" in capsys.readouterr().err
    assert not (bodies / "a.png").exists()


def test_nothing_is_replaced_unless_asked_and_inputs_never(bodies, monkeypatch, capsys):
    monkeypatch.chdir(bodies / "scans/p0")
    before = Path("ct.nii.gz").read_bytes()
    for more in ([], ["--overwrite"]):
        assert main(["convert", "ct.nii.gz", "-o", ".", "--to", "nifti", *more]) == 2
        assert "is an input, which is never replaced" in capsys.readouterr().err
    assert Path("ct.nii.gz").read_bytes() == before
    os.link("ct.nii.gz", "link.nii.gz")
    Path("out").mkdir()
    os.symlink("../ct.nii.gz", "out/link.nii.gz")
    assert main(["convert", "link.nii.gz", "-o", "out", "--to", "nifti", "--overwrite"]) == 2
    assert "is an input" in capsys.readouterr().err
    Path("out/ct.nrrd").write_text("mine")
    assert main(["convert", "ct.nii.gz", "-o", "out", "--to", "nrrd"]) == 2
    assert "exists; nothing was converted" in capsys.readouterr().err
    assert Path("out/ct.nrrd").read_text() == "mine"
    assert main(["convert", "ct.nii.gz", "-o", "out", "--to", "nrrd", "--overwrite"]) == 0
    same_places(read_image("out/ct.nrrd"), read_image("ct.nii.gz"))


def test_slices_of_an_earlier_conversion_do_not_stay_among_the_new_ones(bodies):
    out = bodies / "out"
    convert(bodies / "scans", out, to="png", window="50/400", orient="PIL")
    assert len(table(out / "slices.csv")) == 64
    (out / "p0/ct/notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"and 63 more\) exists; nothing was converted"):
        convert(bodies / "scans", out, to="png", window="50/400")
    convert(bodies / "scans", out, to="png", window="50/400", overwrite=True)
    assert len(list(out.rglob("*.png"))) == len(table(out / "slices.csv")) == 24
    assert (out / "p0/ct/notes.txt").read_text() == "mine"


def test_the_table_keeps_the_rows_of_other_scans(bodies, capsys):
    convert(bodies / "scans/p0/ct.nii.gz", bodies / "out", to="png", window="liver")
    shutil.copy(bodies / "scans/p2/ct.nii.gz", bodies / "second.nii.gz")
    convert(bodies / "second.nii.gz", bodies / "out", to="png", window="liver")
    assert {row["case"] for row in table(bodies / "out/slices.csv")} == {"ct", "second"}
    (bodies / "other").mkdir()
    (bodies / "other/slices.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="not written by delineate convert"):
        convert(bodies / "second.nii.gz", bodies / "other", to="png", window="liver")


def test_slices_of_two_images_never_share_a_name(bodies):
    shutil.copytree(bodies / "scans/p0", bodies / "same/a")
    shutil.copy(bodies / "scans/p1/ct.nii.gz", bodies / "same/a_ct.nii.gz")
    with pytest.raises(ValueError, match="2 images would give files named a_ct_0001.png"):
        convert(bodies / "same", bodies / "out", to="png", window="liver")
    assert not (bodies / "out").exists()


def test_a_disk_that_fails_leaves_no_part_of_a_scan(bodies, monkeypatch):
    written = []

    def failing(image, path, like):
        written.append(path)
        if len(written) == 9:
            raise OSError(28, "No space left on device", str(path))
        write_image(image, path)

    monkeypatch.setattr("delineate.verbs._conversion.write_image", failing)
    with pytest.raises(OSError, match="No space left"):
        convert(bodies / "scans", bodies / "out", to="png", window="50/400")
    files = sorted(p.relative_to(bodies / "out").as_posix() for p in (bodies / "out").rglob("*.*"))
    assert files == [*(f"p0/ct/p0_ct_{i:04d}.png" for i in range(1, 7)), "slices.csv"]
    assert len(table(bodies / "out/slices.csv")) == 6


def test_what_a_format_cannot_say_of_a_stack_is_a_warning(tmp_path, capsys):
    stack = np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4)
    write_image(Image(stack, Geometry.in_pixels((2, 3, 4))), tmp_path / "a.tif")
    convert(tmp_path / "a.tif", tmp_path / "a.nii.gz")
    assert read_image(tmp_path / "a.nii.gz").geometry.unit == "px"
    assert "unknown" not in capsys.readouterr().err
    convert(tmp_path / "a.tif", tmp_path / "a.nrrd")
    assert "NRRD cannot say that the spacing is unknown" in capsys.readouterr().err
    done = convert(tmp_path / "a.nii.gz", tmp_path / "out", to="png")
    assert np.array_equal(read_image(done.files[1]).pixels[0], stack[0, 1])
    assert table(done.table)[0]["position"] == ""


def test_problems_of_a_file_are_told(tmp_path, capsys):
    image = scan(dtype=np.float32)
    image.pixels[0, 0, 0, 0] = np.nan
    write_image(image, tmp_path / "a.nii.gz")
    convert(tmp_path / "a.nii.gz", tmp_path / "a.nrrd")
    assert "1 of 60 samples are NaN or infinity" in capsys.readouterr().err
