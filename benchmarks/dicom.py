"""A DICOM series of 96 slices of 512 x 512 -> a volume in HU: pydicom and SimpleITK against ours, on one core.

pydicom is the usual loop: read each file, pixel_array * slope + intercept, stack. SimpleITK is its series reader. The
volumes are compared before the time is taken. The figures are medians of CPU time, the ways taken in turn in one
process; the files are in the page cache.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless

from delineate.files import read_image

GOALS = {"uncompressed": {"pydicom": 5.0, "SimpleITK": 2.0}, "RLE": {"SimpleITK": 10.0}}
ROUNDS = {"uncompressed": 15, "RLE": 7}
SLICES, SIDE = 96, 512


def main() -> dict[str, float]:
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    found = {}
    with tempfile.TemporaryDirectory() as home:
        for kind, syntax in (("uncompressed", ExplicitVRLittleEndian), ("RLE", RLELossless)):
            folder = Path(home) / kind
            folder.mkdir()
            _write(folder, syntax)
            ways: dict[str, Callable[[], np.ndarray]] = {
                "ours": lambda folder=folder: read_image(folder).pixels[0],
                "pydicom": lambda folder=folder: _with_pydicom(folder),
                "SimpleITK": lambda folder=folder: _with_simpleitk(folder),
            }
            volume = ways["ours"]()
            for name, way in ways.items():
                if not np.array_equal(way(), volume):
                    raise RuntimeError(f"{name} reads another volume than ours.")
            seconds = _medians(ways, ROUNDS[kind])
            print(f"{kind}: {SLICES} x {SIDE} x {SIDE}, ours {seconds['ours'] * 1e3:.1f} ms")
            found[f"{kind} ms"] = seconds["ours"] * 1e3
            for name in ("pydicom", "SimpleITK"):
                ratio = seconds[name] / seconds["ours"]
                goal = GOALS[kind].get(name)
                wanted = f" (goal {goal:g})" if goal else ""
                print(
                    f"{name:12} {seconds[name] * 1e3:7.1f} ms   ours is {ratio:.2f} times as fast{wanted}"
                )
                found[f"{kind} ratio to {name}"] = ratio
    return found


def _with_pydicom(folder: Path) -> np.ndarray:
    slices = [pydicom.dcmread(path) for path in folder.iterdir()]
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    return np.stack([one.pixel_array * one.RescaleSlope + one.RescaleIntercept for one in slices])


def _with_simpleitk(folder: Path) -> np.ndarray:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return SimpleITK.GetArrayFromImage(reader.Execute())


def _write(folder: Path, syntax: str) -> None:
    """A body of 1000 HU with organs and noise in air, as signed 16 bits with an intercept, 70 attributes a slice."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    body = (rows / 180) ** 2 + (columns / 230) ** 2 < 1
    waves = 60 * np.sin(rows / 25) * np.cos(columns / 35)
    for index in range(SLICES):
        hounsfield = np.where(body, 40 + waves + rng.normal(0, 12, body.shape), -1000.0)
        one = _header(index)
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.set_pixel_data((hounsfield + 1024).astype(np.int16), "MONOCHROME2", 16)
        if syntax == RLELossless:
            one.compress(RLELossless)
        one.save_as(folder / f"{(index * 37) % SLICES:03}.dcm", enforce_file_format=True)


SERIES, STUDY, FRAME = "1.2.3.1", "1.2.3.2", "1.2.3.3"


def _header(index: int) -> Dataset:
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.SOPClassUID = CTImageStorage
    one.SOPInstanceUID = f"{SERIES}.{index}"
    one.SeriesInstanceUID, one.StudyInstanceUID, one.FrameOfReferenceUID = SERIES, STUDY, FRAME
    one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    one.Modality, one.Manufacturer, one.ManufacturerModelName = "CT", "maker", "model"
    one.PatientID, one.PatientName, one.PatientSex, one.PatientAge = "1", "A^B", "O", "050Y"
    one.StudyDate = one.SeriesDate = one.AcquisitionDate = one.ContentDate = "20200101"
    one.StudyTime = one.SeriesTime = one.AcquisitionTime = one.ContentTime = "120000"
    one.StudyDescription, one.SeriesDescription, one.ProtocolName = "abdomen", "portal", "5 mm"
    one.InstitutionName, one.StationName, one.AccessionNumber, one.StudyID = "h", "s", "1", "1"
    one.BodyPartExamined, one.PatientPosition, one.ScanOptions = "ABDOMEN", "HFS", "HELICAL"
    one.SliceThickness, one.KVP, one.DataCollectionDiameter = 5, 120, 500
    one.ReconstructionDiameter, one.DistanceSourceToDetector, one.DistanceSourceToPatient = (
        400,
        1000,
        500,
    )
    one.GantryDetectorTilt, one.TableHeight, one.RotationDirection = 0, 150, "CW"
    one.ExposureTime, one.XRayTubeCurrent, one.Exposure, one.FilterType = 500, 300, 150, "BODY"
    one.GeneratorPower, one.FocalSpots, one.ConvolutionKernel = 36, 1.2, "B30f"
    one.SeriesNumber, one.AcquisitionNumber, one.InstanceNumber = 3, 1, SLICES - index
    one.ImagePositionPatient = [-200, -200, 5 * index - 300]
    one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    one.PixelSpacing = [0.78, 0.78]
    one.SliceLocation, one.PositionReferenceIndicator = 5 * index - 300, "SN"
    one.WindowCenter, one.WindowWidth = 40, 400
    one.RescaleSlope, one.RescaleIntercept, one.RescaleType = 1, -1024, "HU"
    return one


def _medians(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of CPU time, the ways taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name].append(time.process_time() - start)
    return {name: float(np.median(t)) for name, t in times.items()}


if __name__ == "__main__":
    main()
