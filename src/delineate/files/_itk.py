"""What SimpleITK reads and writes: NRRD and MetaImage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from delineate.core import Geometry, Image
from delineate.files._format import UnreadableFile, check_size
from delineate.files._pixels import NUMBERS, only
from delineate.files._whole_file import whole_file


def geometry(reader: str, path: Path) -> Geometry:
    """The grid of an image, by the name of ITK's reader, as "NrrdImageIO"."""
    return _geometry(_opened(reader, path))


def image(reader: str, path: Path) -> Image:
    """Pixels in the order (x, y, z), which is NIfTI's (i, j, k); components and times as channels."""
    opened = _opened(reader, path)
    grid = _geometry(opened)
    stored = _itk().GetArrayFromImage(opened.Execute())  # (*reversed axes, component)
    channels = stored.reshape(-1, *grid.shape[::-1], opened.GetNumberOfComponents())
    planes = np.moveaxis(channels, -1, 1).reshape(-1, *grid.shape[::-1])
    return Image(planes.transpose(0, *range(grid.ndim, 0, -1)), grid)


def write(image: Image, path: Path, suffix: str) -> None:
    """Write pixels, compressed, in the format of `suffix`.

    Raises:
        ValueError: a 2D image that does not lie in the plane S = 0, the only one these formats know.
    """
    only(image.pixels, NUMBERS, suffix)
    itk = _itk()
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


def _opened(reader: str, path: Path) -> Any:
    """ITK's reader with the header read; it is told the format, and does not go by the name."""
    opened = _itk().ImageFileReader()
    opened.SetImageIO(reader)
    opened.SetFileName(str(path))
    opened.ReadImageInformation()
    return opened


def _itk() -> Any:
    import SimpleITK

    return SimpleITK


def _geometry(opened: Any) -> Geometry:
    size = opened.GetSize()
    if len(size) > 4 or (len(size) == 4 and size[3] > 1 and opened.GetNumberOfComponents() > 1):
        raise UnreadableFile(
            f"has {len(size)} axes {size} of {opened.GetNumberOfComponents()} components; expected a 2D "
            "image or a volume, with components or times. Split it first."
        )
    n = min(len(size), 3)
    check_size(size[:n])
    spacing = np.array(opened.GetSpacing()[:n])
    direction = np.array(opened.GetDirection()).reshape(len(size), len(size))[:n, :n]
    origin = np.array(opened.GetOrigin()[:n])
    if n == 2 and np.all(spacing == 1) and np.all(direction == np.eye(2)) and not origin.any():
        return Geometry.in_pixels(size)  # ITK's defaults: a picture without physical size
    affine = np.zeros((4, n + 1))
    affine[:n, :n] = direction * spacing
    affine[:n, n] = origin
    affine[3, n] = 1
    return Geometry.in_patient(size[:n], affine)
