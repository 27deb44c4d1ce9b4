"""Fields that may name somebody are told, and what they hold is not, anywhere."""

import json
import struct
import tracemalloc
import zlib
from functools import partial
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest
import SimpleITK
from PIL import Image, PngImagePlugin

from delineate.audit import audit
from delineate.audit._identity import identity, patient
from delineate.audit._read_case import read_case
from delineate.audit.identity import identity as check
from delineate.core import Case, Geometry
from delineate.core import Image as Scan
from delineate.evaluation.report.write_audit import write_audit
from delineate.files import read_image

CANARY = "ZZPHI^CANARY"
PIXELS = np.arange(48 * 64, dtype=np.uint32).reshape(48, 64)


def png(path: Path):
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", CANARY)
    texts.add_text(CANARY, "a keyword can be a name")
    texts.add_text("Software", "nothing to see")
    Image.fromarray((PIXELS % 251).astype(np.uint8)).save(path, pnginfo=texts)


def jpeg(path: Path):
    exif = Image.Exif()
    exif[315] = CANARY
    exif.get_ifd(34853)[1] = "N"
    Image.fromarray((PIXELS % 241).astype(np.uint8)).save(path, exif=exif, comment=CANARY.encode())


def nifti(path: Path):
    image = nibabel.Nifti1Image(PIXELS[..., None].repeat(4, 2).astype(np.int16), np.eye(4))
    image.header["descrip"] = CANARY
    image.header["db_name"] = CANARY
    nibabel.save(image, path)


def nrrd(path: Path):
    image = SimpleITK.GetImageFromArray((PIXELS % 233).astype(np.int16))
    image.SetMetaData("PatientName", CANARY)
    SimpleITK.WriteImage(image, str(path))


def dicom(path: Path, name=CANARY):
    image = SimpleITK.GetImageFromArray((PIXELS % 239).astype(np.int16)[None])
    for tag, value in {
        "0010|0010": name,
        "0010|0020": name,
        "0028|0301": "YES",
        "0008|0060": "US",
    }.items():
        image.SetMetaData(tag, value)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    writer.Execute(image)


FILES = {
    "a.png": (png, ("PNG Author", "another PNG text")),
    "b.jpg": (jpeg, ("EXIF Artist", "EXIF GPS position", "comment")),
    "c.nii.gz": (nifti, ("NIfTI descrip", "NIfTI db_name")),
    "d.nrrd": (nrrd, ("NRRD text",)),
    "e.dcm": (dicom, ("PatientName", "PatientID")),
}


@pytest.mark.parametrize("name", FILES)
def test_the_names_of_fields_are_told(name, tmp_path):
    write, fields = FILES[name]
    write(tmp_path / name)
    found = identity(tmp_path / name)
    assert set(fields) <= set(found.fields)
    assert "Software" not in str(found)
    assert (found.burned_in, found.modality) == (("YES", "US") if name == "e.dcm" else ("", ""))


@pytest.mark.parametrize(
    ("key", "told"),
    [("DICOM_patientID", True), ("InstitutionAddress", True), ("PatientSex", False), ("filename", False)],
)  # fmt: skip
def test_keys_of_nrrd_are_told_by_the_words_that_columns_are_told_by(key, told, tmp_path):
    (tmp_path / "a.nrrd").write_bytes(f"NRRD0005\ntype: uint8\n{key}:=x\n\n".encode())
    assert identity(tmp_path / "a.nrrd").fields == ("NRRD text",) * told


def test_the_canary_is_nowhere(tmp_path, labels, capfd):
    for name, (write, _) in FILES.items():
        write(tmp_path / name)
    cases = tuple(
        Case(f"case {i}", "g", partial(read_image, tmp_path / name), image_files=(tmp_path / name,))
        for i, name in enumerate(FILES)
    )
    out = tmp_path / "out"
    found = audit({"train": cases}, labels, cache=out / "cache", progress=False)
    found.save_csv(out / "cases.csv")
    (out / "audit.json").write_text(json.dumps(found.as_json()))
    write_audit(out / "audit.html", title="t", audit=found, splits={"train": cases}, labels=labels)
    assert len(next(f for f in found.findings if f.check == "identity_fields").cases) == len(FILES)
    files = [file for file in out.rglob("*") if file.is_file()]
    assert len(files) >= 6
    kept = "".join(file.read_text("utf-8") for file in files)
    said = "".join([*capfd.readouterr(), repr(found), repr(found.cases), *found.lines()])
    for word in ("ZZPHI", "CANARY"):
        assert word not in kept
        assert word not in said


def test_patients_are_told_apart_by_a_digest_of_this_run(tmp_path):
    for name, who in {"a.dcm": "1", "b.dcm": "1", "c.dcm": "2"}.items():
        dicom(tmp_path / name, who)
    same, again, other = (
        patient(tmp_path / name, b"secret") for name in ("a.dcm", "b.dcm", "c.dcm")
    )
    assert same == again != other
    assert patient(tmp_path / "a.dcm", b"another secret") != same
    png(tmp_path / "d.png")
    assert patient(tmp_path / "d.png", b"secret") == ""


def test_files_without_names_and_files_that_are_none_say_nothing(tmp_path):
    Image.fromarray((PIXELS % 251).astype(np.uint8)).save(tmp_path / "plain.png")
    (tmp_path / "cut.nii.gz").write_bytes(b"\x1f\x8b\x08\x00")
    (tmp_path / "half.dcm").write_bytes(bytes(128) + b"DICM")
    for name in ("plain.png", "cut.nii.gz", "half.dcm"):
        assert identity(tmp_path / name).fields == ()


def explicit(syntax: bytes, *body: bytes) -> bytes:
    """A DICOM file with this transfer syntax; the patient is at its end."""
    name = syntax + b"\0" * (len(syntax) % 2)
    meta = struct.pack("<HH2sH", 2, 0x0010, b"UI", len(name)) + name
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
    return b"".join([bytes(128), b"DICM", length, meta, *body])


PATIENT = b"\x10\x00\x20\x00LO\x02\x00P1"


def nested() -> bytes:
    """100,000 sequences, each inside the one before."""
    opened = struct.pack("<HH2sHI", 9, 0x1001, b"SQ", 0, 2**32 - 1)
    opened += struct.pack("<HHI", 0xFFFE, 0xE000, 2**32 - 1)
    closed = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return explicit(b"1.2.840.10008.1.2.1", opened * 100_000, closed * 100_000, PATIENT)


def bomb() -> bytes:
    """0.3 MB that inflate to 300 MB."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = [packer.compress(struct.pack("<HH2sHI", 9, 0x1001, b"OB", 0, 300 << 20))]
    packed += [packer.compress(bytes(1 << 20)) for _ in range(300)]
    return explicit(b"1.2.840.10008.1.2.1.99", *packed, packer.compress(PATIENT), packer.flush())


@pytest.mark.parametrize("hostile", [nested, bomb])
def test_hostile_dicom_has_no_fields_and_takes_no_memory(hostile, tmp_path):
    (tmp_path / "a.dcm").write_bytes(explicit(b"1.2.840.10008.1.2.1", PATIENT))
    assert identity(tmp_path / "a.dcm").fields == ("PatientID",)
    (tmp_path / "a.dcm").write_bytes(hostile())
    tracemalloc.start()
    try:
        assert identity(tmp_path / "a.dcm").fields == ()
        assert patient(tmp_path / "a.dcm", b"secret") == ""
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_where_text_is_shown_is_told_and_not_what_it_says(folder, labels, square, picture):
    plain = np.repeat(picture(1)[..., None] // 2, 3, axis=2)
    named = cv2.putText(plain.copy(), "ZZPHI", (6, 70), 0, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    splits = folder({"train": {"named": (named, square), "plain": (plain // 2, square)}})
    found = audit(splits, labels, progress=False)
    (shown,) = (f for f in found.findings if f.check == "burned_in_pixels")
    assert (shown.cases, shown.why) == ((("named",),), ("1 line at the left",))
    assert shown.says == "what looks like text in the pixels of 1 picture, at the left"
    (box,) = found.cases[0].image.text
    assert len(box) == 4
    assert all(type(number) is float and 0 <= number <= 1 for number in box)
    assert "ZZPHI" not in repr(found) + repr(found.cases) + json.dumps(found.as_json())


LEFT, RIGHT, TOP, BOTTOM, MIDDLE = (
    (0.4, 0.0, 0.1, 0.3), (0.1, 0.85, 0.1, 0.1), (0.0, 0.3, 0.1, 0.4), (0.9, 0.3, 0.1, 0.4), (0.45, 0.4, 0.1, 0.2)
)  # fmt: skip


@pytest.mark.parametrize(
    ("boxes", "where"),
    [
        ((LEFT,), "1 line at the left"),
        ((LEFT, LEFT, TOP), "3 lines mostly at the left"),
        ((RIGHT, RIGHT), "2 lines at the right"),
        ((TOP, BOTTOM), "2 lines at several sides"),
        ((MIDDLE,), "1 line in the middle"),
    ],
)
def test_the_side_of_the_picture(boxes, where, facts, labels):
    found = check([facts("a", text=boxes), facts("b")], labels)
    assert [(f.check, f.level, f.cases, f.why) for f in found] == [
        ("burned_in_pixels", "warn", (("a",),), (where,))
    ]


def test_volumes_are_not_searched_for_text():
    text = cv2.putText(np.zeros((60, 120), np.uint8), "ZZPHI", (5, 40), 0, 0.5, 255)[None]
    volume = text[:, None].repeat(4, 1)
    flat, deep = (
        read_case(Case("a", "a", partial(Scan, pixels, Geometry.in_pixels(pixels.shape[1:]))), "")
        for pixels in (text, volume)
    )
    assert len(flat.image.text) == 1
    assert deep.image.text == ()
