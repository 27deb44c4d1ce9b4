"""An abdominal CT after contrast, as an axial slice or as a volume, in Hounsfield units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from delineate.core import Geometry
from delineate.phantoms import Drawing, Scene
from delineate.phantoms.anatomy import Space
from delineate.phantoms.texture import branches, smoothstep

Line = tuple[np.ndarray, float]
Layer = tuple[str, np.ndarray, "np.ndarray | float"]

ORGANS = ("bowel", "liver", "lesion", "spleen", "left_kidney", "right_kidney")


@dataclass(frozen=True, eq=False)
class _Body:
    """A patient. Lengths in mm; x to the patient's left, y to the back, z to the head, 0 before the spine at L2."""

    size: float
    fat: float
    liver: float
    spleen: float
    kidneys: np.ndarray
    contrast: float
    vessels: tuple[Line, ...]
    lesions: tuple[tuple[np.ndarray, float, str], ...]
    loops: tuple[Line, ...]
    colon: tuple[Line, ...]
    mesentery: tuple[Line, ...]


def _slice(
    patient: np.random.Generator, scan: np.random.Generator, shape: tuple[int, ...]
) -> Drawing:
    body = _body(patient)
    level = scan.uniform(-35, 75)
    if body.lesions and scan.random() < 0.5:  # through a lesion
        middle, radius, _ = body.lesions[int(scan.integers(len(body.lesions)))]
        level = middle[2] + scan.uniform(-0.7, 0.7) * radius
    spacing = 360 / min(shape)
    # rows run to the patient's back and columns to the left, as a slice is looked at
    steps = np.array([[0, spacing], [spacing, 0], [0, 0]])
    return _scan(scan, body, _grid(shape, steps, (0.0, 10.0, level)))


def _volume(
    patient: np.random.Generator, scan: np.random.Generator, shape: tuple[int, ...]
) -> Drawing:
    body = _body(patient)
    reach = np.array([336.0, 336.0, 240.0]) / shape
    # indices run to the right, the front and the head, as most NIfTI files store them (RAS)
    steps = np.diag([-max(reach[:2]), -max(reach[:2]), reach[2]])
    centre = np.array([0.0, 10.0, 15.0]) + scan.normal(0, 5, 3)
    return _scan(scan, body, _grid(shape, steps, centre))


slice_scene = Scene(draw=_slice, names=ORGANS, shape=(256, 256), per_patient=(2, 3, 4))
volume_scene = Scene(draw=_volume, names=ORGANS, shape=(96, 96, 48), per_patient=(1,))


def _grid(shape: tuple[int, ...], steps: np.ndarray, centre: ArrayLike) -> Geometry:
    """The grid with these steps per index (3, axes) whose middle lies at `centre`."""
    origin = np.asarray(centre, np.float64) - steps @ ((np.array(shape) - 1) / 2)
    last = [0.0] * len(shape) + [1.0]
    return Geometry.in_patient(shape, np.vstack([np.column_stack([steps, origin]), last]))


def _body(rng: np.random.Generator) -> _Body:
    size = rng.uniform(0.9, 1.06)
    liver = rng.uniform(0.9, 1.1)
    vessels = [
        line
        for heading in ((-1, -0.2, 0.5), (-1, 0.4, -0.4), (-0.6, -0.9, 0.2), (-0.8, 0.1, 0.9))
        for line in branches(
            rng, (-22, 2, 38), heading, length=48 * size, width=5.0, bend=0.5, forks=3
        )
    ]
    lesions = []
    for _ in range(int(rng.choice([0, 1, 2, 4], p=[0.2, 0.3, 0.3, 0.2]))):
        place = np.array([-78, 0, 38]) + rng.uniform(-1, 1, 3) * [30, 38, 32]
        kind = ("metastasis", "metastasis", "cyst", "bright")[int(rng.integers(4))]
        lesions.append((place * size, float(np.exp(rng.uniform(np.log(5), np.log(20)))), kind))
    return _Body(
        size=size,
        fat=rng.uniform(8, 30),
        liver=liver,
        spleen=rng.uniform(0.8, 1.25),
        kidneys=rng.normal(0, 1, (2, 3)),
        contrast=rng.uniform(0.75, 1.15),
        vessels=tuple(vessels),
        lesions=tuple(lesions),
        loops=_loops(rng, size),
        colon=_colon(rng, size),
        mesentery=tuple(
            line
            for heading in ((-1, -0.3, -1), (0.1, -0.4, -1), (1, -0.3, -0.8), (0.4, -1, 0.2))
            for line in branches(
                rng, (4, -4, 5), heading, length=45 * size, width=3.2, bend=0.5, forks=3
            )
        ),
    )


def _loops(rng: np.random.Generator, size: float) -> tuple[Line, ...]:
    """Small bowel: a line that winds through the front of the lower abdomen."""
    t = np.linspace(0, 1, 120)
    turns = rng.uniform(7, 9)
    x = 58 * np.sin(2 * np.pi * turns * t + rng.uniform(0, 6))
    y = -35 + 30 * np.cos(2 * np.pi * (turns * 0.5 + 2.3) * t + rng.uniform(0, 6))
    z = 18 - 120 * t + 12 * np.sin(2 * np.pi * 9 * t)
    points = np.stack([x + 8, y, z], 1) + np.cumsum(rng.normal(0, 1.2, (120, 3)), axis=0)
    return tuple(
        (points[i : i + 2] * size, float(12 + 2.5 * np.sin(0.9 * i)))
        for i in range(len(points) - 1)
    )


def _colon(rng: np.random.Generator, size: float) -> tuple[Line, ...]:
    """Large bowel: up on the right, across behind the belly wall, down on the left."""
    path = np.array([
        (-100, -5, -110), (-104, 0, -70), (-104, -5, -30), (-95, -30, -8), (-60, -66, -18), (0, -76, -26),
        (55, -68, -8), (92, -38, 22), (106, -5, 18), (106, 10, -30), (104, 8, -75), (96, 0, -115),
    ])  # fmt: skip
    points = path + rng.normal(0, 5, path.shape)
    along = np.linspace(0, len(points) - 1, 60)
    fine = np.stack([np.interp(along, np.arange(len(points)), points[:, a]) for a in range(3)], 1)
    wide = 17 + 3 * np.sin(1.7 * np.arange(60)) + rng.normal(0, 1.0, 60)  # haustra
    return tuple((fine[i : i + 2] * size, float(wide[i])) for i in range(59))


def _scan(rng: np.random.Generator, body: _Body, geometry: Geometry) -> Drawing:
    space = Space.of(geometry)
    hounsfield = np.full(space.shape, -1000, np.float32)
    objects: list[tuple[str, np.ndarray]] = []
    for name, mask, value in _layers(rng, body, space):
        np.copyto(hounsfield, np.asarray(value, np.float32), where=mask)
        if (
            name != "lesion"
        ):  # which is part of the liver; anything else takes the place of what was there
            objects = [(other, before & ~mask) for other, before in objects]
        if name:
            objects.append((name, mask))
    hounsfield = ndimage.gaussian_filter(hounsfield, 0.55)  # partial volumes
    grain = rng.standard_normal(space.shape, dtype=np.float32)
    hounsfield += rng.uniform(20, 40) * ndimage.gaussian_filter(grain, 0.7)
    pixels = np.round(np.clip(hounsfield, -1024, 3071)).astype(np.int16)
    return Drawing(pixels[None], geometry, tuple(objects))


def _layers(rng: np.random.Generator, body: _Body, space: Space) -> Iterator[Layer]:
    """Everything in the order it is painted: (name, or "" for what has none, where, Hounsfield units)."""
    sway = 1 + 0.025 * space.noise(rng, 60.0)
    s = body.size
    cavity = space.ellipsoid((0, 2 * s, 0), (138 * s, 88 * s, 1e4), power=2.3) * (
        1 + (sway - 1) / 2
    )
    yield from _trunk(rng, body, space, cavity)
    yield from _bowel(rng, body, space, cavity < 0.96)
    yield from _stomach(rng, body, space, sway, cavity < 0.96)
    yield from _liver(rng, body, space, sway, cavity < 0.97)
    yield from _spleen(body, space, sway, cavity < 0.97)
    yield from _kidneys(rng, body, space, sway)
    yield from _great_vessels(body, space)
    yield from _chest(rng, body, space, sway, cavity)


def _trunk(
    rng: np.random.Generator, body: _Body, space: Space, cavity: np.ndarray
) -> Iterator[Layer]:
    """Table, skin, fat, the muscles of the wall and the back, ribs and spine."""
    x, y, z = space.axes
    s = body.size
    table = np.hypot(x, y + 250)
    yield "", (np.abs(table - 408) < 4) & (np.abs(x) < 170) & (y > 0), -350

    wide, deep = 154 * s + body.fat, 106 * s + 0.9 * body.fat
    skin = space.ellipsoid((0, 4, 0), (wide, deep, 1e4), power=2.3)
    yield "", skin < 1, 25
    fat = -105 + 8 * space.noise(rng, 12.0)
    yield "", skin < 1 - 2.5 / deep, fat
    fibres = 55 * s + 10 * space.noise(rng, 9.0)
    wall = space.ellipsoid((0, 3 * s, 0), (150 * s, 99 * s, 1e4), power=2.3)
    yield "", wall < 1, fibres
    slope = (z - 0.5 * y) / 27
    rib = (np.abs(slope % 1 - 0.5) < 0.16) & (z > -25 - 0.3 * np.abs(x)) & (np.abs(x) > 40)
    yield "", (cavity > 1.02) & (wall < 0.975) & rib, 330 + 90 * space.noise(rng, 6.0)
    for side in (-1, 1):
        back = space.ellipsoid((side * 36 * s, 88 * s, 0), (33 * s, 21 * s, 1e4), power=2.5)
        yield "", back < 1, fibres
    yield "", cavity < 1, fat
    mesentery, _ = space.tube(body.mesentery)
    yield "", (mesentery < 1) & (cavity < 0.9), 110 * body.contrast

    level = z / 33
    disc = np.abs(level % 1 - 0.5) > 0.4
    for side in (-1, 1):
        thick = 1.25 - np.float32(0.55) * smoothstep(z, -50, 45)
        psoas = space.ellipsoid((side * 37 * s, 52 * s, 0), (16 * s, 19 * s, 1e4))
        yield "", (psoas < thick) & (z < 45), fibres
        process = space.ellipsoid((side * 34 * s, 74 * s, 0), (20 * s, 4.5 * s, 1e4))
        yield "", (process < 1) & (np.abs(level % 1 - 0.5) < 0.18), 320
    spongy = 190 + 35 * space.noise(rng, 5.0)
    for centre, radii, shell in (
        ((0, 92 * s, 0), (4.5 * s, 19 * s, 1e4), 0.6),
        ((0, 77 * s, 0), (15 * s, 13 * s, 1e4), 0.7),
        ((0, 55 * s, 0), (23 * s, 17 * s, 1e4), 0.9),
    ):
        bone = space.ellipsoid(centre, radii, power=2.4)
        yield "", bone < 1, np.where(disc, 95, np.where(bone < shell, spongy, 480))
    yield "", space.ellipsoid((0, 77 * s, 0), (9 * s, 8 * s, 1e4)) < 1, 25


def _bowel(
    rng: np.random.Generator, body: _Body, space: Space, room: np.ndarray
) -> Iterator[Layer]:
    """Small and large bowel: an enhancing wall, fluid or stool, and gas on top."""
    lumps = space.noise(rng, 9.0)
    fill = 0.3 + 0.5 * space.noise(
        rng, 45.0
    )  # where a loop's gas begins, in radii above its middle
    for loops, gas, content in (
        (body.loops, fill + 0.55, 22 + 6 * lumps),
        (body.colon, fill - 0.2, 10 + 55 * lumps),
    ):
        reach, height = space.tube(loops)
        loop = (reach < 1) & room
        wall = reach > np.float32(0.83)
        inside = np.where(height > gas, -880, content)
        yield "bowel", loop, np.where(wall, 78 * body.contrast, inside)


def _stomach(
    rng: np.random.Generator, body: _Body, space: Space, sway: np.ndarray, room: np.ndarray
) -> Iterator[Layer]:
    """The stomach and the pancreas behind it."""
    s = body.size
    gland = space.ellipsoid((18 * s, -8 * s, 22 * s), (62 * s, 12 * s, 15 * s), turn=0.35) * sway**3
    yield "", gland < 1, 92 * body.contrast + 14 * space.noise(rng, 7.0)
    reach = space.ellipsoid((58 * s, -34 * s, 52 * s), (46 * s, 34 * s, 42 * s), turn=0.5) * sway**2
    folds = 0.05 * space.noise(rng, 8.0)
    food = 25 + 25 * space.noise(rng, 12.0)
    inside = np.where(space.axes[1] < (-46 + 14 * folds) * s, -900, food)
    yield "", (reach < 1) & room, np.where(reach + folds > 0.88, 80 * body.contrast, inside)


def _liver(
    rng: np.random.Generator, body: _Body, space: Space, sway: np.ndarray, room: np.ndarray
) -> Iterator[Layer]:
    """The liver with its vessels and lesions, and the gallbladder under it."""
    s, big = body.size, body.size * body.liver
    right = space.ellipsoid((-74 * s, 0, 36 * s), (64 * big, 74 * big, 72 * big), turn=0.2)
    left = space.ellipsoid((-8 * s, -40 * s, 54 * s), (66 * big, 30 * big, 32 * big), turn=0.15)
    spine = space.ellipsoid((8 * s, 48 * s, 0), (48 * s, 42 * s, 1e4))
    liver = (np.minimum(right, left) * sway < 1) & room & (spine > 1)
    vessels, _ = space.tube(body.vessels)
    blood = np.where(vessels < 1, 148, 104) * np.float32(body.contrast)
    yield "liver", liver, blood + 4 * space.noise(rng, 8.0)
    for place, radius, kind in body.lesions:
        reach = space.ellipsoid(place, (radius,) * 3) * sway**3
        lesion = (reach < 1) & liver
        if kind == "metastasis":
            core = np.where(reach > 0.75, 78 * body.contrast, 48 + 8 * space.noise(rng, 5.0))
        else:
            core = np.full(space.shape, 8 if kind == "cyst" else 150 * body.contrast)
        yield "lesion", lesion, core
    bladder = space.ellipsoid((-44 * s, -38 * s, 4 * s), (15 * s, 19 * s, 24 * s), turn=0.4) * sway
    yield "", (bladder < 1) & room, np.where(bladder > 0.9, 60, 10)


def _spleen(body: _Body, space: Space, sway: np.ndarray, room: np.ndarray) -> Iterator[Layer]:
    """The spleen, hollowed towards the stomach."""
    s, big = body.size, body.size * body.spleen
    reach = space.ellipsoid((103 * s, 34 * s, 50 * s), (27 * big, 47 * big, 42 * big), turn=0.15)
    hollow = space.ellipsoid((66 * s, 14 * s, 50 * s), (27 * s, 32 * s, 60 * s))
    yield "spleen", (reach * sway < 1) & (hollow * sway > 1) & room, 118 * body.contrast


def _kidneys(
    rng: np.random.Generator, body: _Body, space: Space, sway: np.ndarray
) -> Iterator[Layer]:
    """Two kidneys in their fat: cortex, pyramids, and the sinus that opens towards the spine."""
    s = body.size
    columns = space.noise(rng, 13.0)
    for name, side, (dx, dz, grow) in zip(
        ("left_kidney", "right_kidney"), (1, -1), body.kidneys, strict=True
    ):
        x, z = side * (66 + 3 * dx) * s, (6 - (6 if side < 0 else 0) + 8 * dz) * s
        radii = np.array([25, 33, 54]) * s * (1 + 0.06 * grow)
        turn = side * 0.75
        kidney = space.ellipsoid((x, 46 * s, z), radii, turn=turn) * sway
        yield "", kidney < 1.22, -100
        pyramid = (kidney < 0.78) & (columns > -0.4)
        yield name, kidney < 1, np.where(pyramid, 125, 185) * np.float32(body.contrast)
        hilum = (x - side * 15 * s, 40 * s, z)
        sinus = space.ellipsoid(hilum, (21 * s, 10 * s, 27 * s), turn=turn - side * 0.3) * sway**2
        yield "", sinus < 1, np.where(sinus < 0.45, 20, -75)
        vein = np.array([hilum, (-8 * s, 22 * s, z + 6)])
        reach, _ = space.tube([(vein, 4.5)])
        yield "", reach < 1, 140 * body.contrast


def _great_vessels(body: _Body, space: Space) -> Iterator[Layer]:
    """Aorta and inferior vena cava."""
    s = body.size
    for x, y, radius, value in ((9, 29, 10.5, 165), (-19, 27, 12.0, 135)):
        reach = space.ellipsoid((x * s, y * s, 0), (radius, radius * 0.92, 1e4))
        yield "", reach < 1, value * body.contrast


def _chest(
    rng: np.random.Generator, body: _Body, space: Space, sway: np.ndarray, cavity: np.ndarray
) -> Iterator[Layer]:
    """Lung bases behind and above the domes of the diaphragm, and the heart between them."""
    s = body.size
    _, y, z = space.axes
    dome = (108 - 85 * np.clip(cavity, 0, 1) ** 5) * s * sway + np.where(y > 0, -0.25, -0.4) * y
    middle = space.ellipsoid((4 * s, 45 * s, 0), (42 * s, 36 * s, 1e4))
    lung = (z > dome) & (cavity < 0.985) & (middle > 1)
    yield "", lung, -860 + 45 * space.noise(rng, 6.0)
    heart = space.ellipsoid((22 * s, -28 * s, 128 * s), (62 * s, 48 * s, 36 * s), turn=-0.4) * sway
    yield "", (heart < 1) & lung, np.where(heart < 0.75, 150, 105) * np.float32(body.contrast)
