"""DICOM files to read: made with pydicom, which the reader of plain files does not need for its pixels."""

import numpy as np
import pytest


def dicom_slice(pixels, syntax="1.2.840.10008.1.2.1", bits=None, **attributes):
    """A CT slice, or a colour image, as a data set of pydicom.

    pixels: (row, column) or (row, column, 3).
    syntax: its transfer syntax; compressed where pydicom can.
    bits: BitsStored.
    attributes: by keyword, over the usual ones; None leaves one out.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    usual = {
        "SOPClassUID": CTImageStorage, "SOPInstanceUID": "1.2.3.9", "SeriesInstanceUID": "1.2.3.1",
        "StudyInstanceUID": "1.2.3.2", "FrameOfReferenceUID": "1.2.3.3", "Modality": "CT", "PatientID": "one",
        "SeriesDescription": "portal", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "ImagePositionPatient": [1, 2, 3], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [0.5, 0.75], "SliceThickness": 5, "RescaleSlope": 1, "RescaleIntercept": -1024,
    }  # fmt: skip
    kind = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    made.set_pixel_data(pixels, kind, bits or pixels.dtype.itemsize * 8)
    for keyword, value in {**usual, **attributes}.items():
        if value is not None:
            setattr(made, keyword, value)
    if UID(syntax).is_compressed and not UID(syntax).is_deflated:
        made.compress(syntax, generate_instance_uid=False)
    made.file_meta.TransferSyntaxUID = syntax
    return made


def dicom_series(folder, volume, step=(0, 0, 5), origin=(1, 2, 3), names=None, **attributes):
    """Write (slice, row, column) as a series, one file a slice; returns the data sets by file name."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for index, pixels in enumerate(volume):
        place = np.array(origin, float) + index * np.array(step, float)
        name = names[index] if names else f"{index:02}.dcm"
        written[name] = dicom_slice(
            pixels,
            SOPInstanceUID=f"1.2.3.9.{index + 1}",
            InstanceNumber=index + 1,
            **{"ImagePositionPatient": [float(f"{x:.9g}") for x in place], **attributes},
        )
        written[name].save_as(folder / name, enforce_file_format=True)
    return written


@pytest.fixture(scope="session")
def make_slice():
    """Make one slice."""
    return dicom_slice


@pytest.fixture(scope="session")
def make_series():
    """Write a series."""
    return dicom_series
