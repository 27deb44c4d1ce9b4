""".nii.gz read and written: nibabel, SimpleITK and MONAI against ours, on one core.

A CT of int16 and its labels of uint8, 512 x 512 x 96. All readers give the array in the dtype of the file, except
nibabel's get_fdata (float64) and MONAI's LoadImage (float32). Labels are written from arrays in both memory orders: a
prediction has its last axis contiguous, and a mask read from NIfTI its first. The files are those of nibabel's
default level. Figures are the least CPU time of ROUNDS in turn, and the resident memory above that before.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK
from scipy.ndimage import gaussian_filter, zoom

from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
from delineate.files import read_image, read_mask, write_image, write_mask

READ, WRITE = 2.0, 8.0
SHAPE = (512, 512, 96)
SPACING = (0.7, 0.7, 3.0)
ORGANS = (
    ((0.35, 0.0, 0.3), (0.35, 0.4, 0.5)),
    ((-0.5, 0.2, 0.4), (0.15, 0.25, 0.3)),
    ((-0.35, 0.35, 0.0), (0.12, 0.15, 0.3)),
    ((0.3, 0.4, -0.1), (0.12, 0.15, 0.3)),
    ((0.0, -0.3, -0.5), (0.5, 0.3, 0.3)),
)
"""Centre and radii of ellipsoids, where the volume goes from -1 to 1."""
LABELS = LabelSet(tuple(Label(f"organ {n}", n) for n in range(1, 6)))
ROUNDS = 5
PEAK = """
import sys
from pathlib import Path
from delineate.files import read_image

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

read_image(sys.argv[1])
before = status("VmHWM:")
image = read_image(sys.argv[2])
print((status("VmHWM:") - before) / image.pixels.nbytes)
"""
"""Prints the memory of reading a file, as a multiple of its array; Linux only."""


def main() -> dict[str, float]:
    ratios: dict[str, float] = {}
    affine = np.diag([*SPACING, 1.0])
    scan, organs = _body()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, array in (("image", scan), ("labels", organs)):
            path = folder / f"{what}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(array, affine), path)
            ways = _readers(path, ours=read_image if what == "image" else read_mask)
            for way, read in ways.items():
                assert np.array_equal(read(), array if "SimpleITK" not in way else array.T), way
            said = f"read {what}, {array.nbytes >> 20} MiB from {path.stat().st_size / 1e6:.1f} MB"
            ratios |= _compared(said, f"read {what}", ways, READ)
        nibabel.save(nibabel.Nifti1Image(scan[:8, :8, :8], affine), folder / "small.nii.gz")
        if sys.platform == "linux":
            peak = _peak(folder / "small.nii.gz", folder / "image.nii.gz")
            print(f"most memory of reading the image: {peak:.2f} times its array\n")
            ratios["read image, memory"] = peak
        for what, order in (("image", "F"), ("labels", "F"), ("labels", "C")):
            array = np.asarray(scan if what == "image" else organs, order=order)
            ways = _writers(array, affine, folder, what)
            for way, write in ways.items():
                write()
                back = np.asanyarray(nibabel.load(folder / f"{way}.nii.gz").dataobj)
                assert np.array_equal(back, array), way
            sizes = ", ".join(
                f"{w} {(folder / f'{w}.nii.gz').stat().st_size / 1e6:.2f}" for w in ways
            )
            said = (
                f"write {what}, {'first' if order == 'F' else 'last'} axis contiguous (MB: {sizes})"
            )
            goal = WRITE if what == "labels" else None
            ratios |= _compared(said, f"write {what}, {order}", ways, goal, folder)
    return ratios


def _peak(small: Path, large: Path) -> float:
    command = [sys.executable, "-c", PEAK, str(small), str(large)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _body() -> tuple[np.ndarray, np.ndarray]:
    """Smooth structures with noise; and five organs with uneven surfaces, about a tenth of the volume."""
    rng = np.random.default_rng(0)
    coarse = gaussian_filter(rng.normal(size=(128, 128, 24)).astype(np.float32), 3)
    smooth = zoom(coarse / coarse.std(), 4, order=1)
    scan = (300 * smooth + rng.normal(0, 10, SHAPE)).astype(np.int16)
    index = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in SHAPE), indexing="ij")
    organs = np.zeros(SHAPE, np.uint8)
    for value, (centre, radii) in enumerate(ORGANS, start=1):
        parts = zip(index, centre, radii, strict=True)
        distance = sum(((axis - middle) / radius) ** 2 for axis, middle, radius in parts)
        organs[distance + 0.15 * smooth < 1] = value
    return np.asfortranarray(scan), np.asfortranarray(organs)


def _readers(path: Path, ours: Callable[[Path], Image]) -> dict[str, Callable[[], np.ndarray]]:
    from monai.transforms import LoadImage

    load = LoadImage(image_only=True)
    return {
        "nibabel": lambda: np.asanyarray(nibabel.load(path).dataobj),
        "nibabel get_fdata": lambda: nibabel.load(path).get_fdata(),
        "SimpleITK": lambda: SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))),
        "MONAI LoadImage": lambda: np.asarray(load(path)),
        "ours": lambda: ours(path).pixels[0],
    }


def _writers(
    array: np.ndarray, affine: np.ndarray, folder: Path, what: str
) -> dict[str, Callable[[], object]]:
    to_patient = np.diag([-1, -1, 1, 1]) @ affine
    geometry = Geometry.in_patient(SHAPE, to_patient)
    scan = SimpleITK.GetImageFromArray(array.T)
    scan.SetSpacing(SPACING)
    path = folder / "ours.nii.gz"
    if what == "image":
        ours: Callable[[], object] = partial(write_image, Image(array[None], geometry), path)
    else:
        ours = partial(write_mask, Segmentation(array, LABELS, geometry), path)
    return {
        "nibabel": lambda: nibabel.save(
            nibabel.Nifti1Image(array, affine), folder / "nibabel.nii.gz"
        ),
        "SimpleITK": lambda: SimpleITK.WriteImage(scan, str(folder / "SimpleITK.nii.gz"), True),
        "ours": ours,
    }


def _compared(
    said: str,
    name: str,
    ways: dict[str, Callable[[], object]],
    goal: float | None,
    written: Path | None = None,
) -> dict[str, float]:
    """Print the times of all ways; returns the ratio of each to ours."""
    times = dict.fromkeys(ways, np.inf)
    for _ in range(ROUNDS):
        for way, run in ways.items():
            if written is not None:  # each writes a new file
                (written / f"{way}.nii.gz").unlink()
            start = time.process_time()
            run()
            times[way] = min(times[way], time.process_time() - start)
    print(said + (f" (goal {goal:g} times nibabel)" if goal else ""))
    for way, seconds in times.items():
        print(f"  {way:20}{1e3 * seconds:8.1f} ms{seconds / times['ours']:8.2f} x")
    return {f"{name}, {way}": s / times["ours"] for way, s in times.items() if way != "ours"}


if __name__ == "__main__":
    main()
