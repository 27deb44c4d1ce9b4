"""What SimpleITK writes: NRRD and MetaImage."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from delineate.core import Image
from delineate.files._pixels import NUMBERS, only
from delineate.files._whole_file import whole_file


def write(image: Image, path: Path, suffix: str) -> None:
    """Write pixels, compressed, in the format of `suffix`.

    Raises:
        ValueError: a 2D image that does not lie in the plane S = 0, the only one these formats know.
    """
    only(image.pixels, NUMBERS, suffix)
    itk: Any = importlib.import_module("SimpleITK")  # slow to start
    grid = image.geometry
    if image.channels == 1:
        found = itk.GetImageFromArray(image.pixels[0].T)
    else:
        found = itk.GetImageFromArray(image.pixels.T, isVector=True)
    found.SetSpacing(grid.spacing)
    if grid.to_patient is not None:
        n = grid.ndim
        if np.any(grid.to_patient[n:3] != 0):
            raise ValueError(
                f"{path}: a 2D image that lies across the patient cannot be said in {suffix}. Write .nii.gz."
            )
        found.SetDirection((grid.to_patient[:n, :n] / grid.spacing).ravel().tolist())
        found.SetOrigin(grid.to_patient[:n, n].tolist())
    with whole_file(path, suffix=suffix) as part:
        try:
            itk.WriteImage(found, str(part), useCompression=True)
        except RuntimeError as error:
            raise OSError(
                f"{path}: could not be written ({str(error).splitlines()[-1]})"
            ) from error
