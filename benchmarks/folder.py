"""Predicting a folder of photographs: the rate of the verb beside that of the network alone, and memory by size.

The verb reads JPEG files of 720 x 960, prepares to 512 x 512, runs U-Net/MobileNetV3 with untrained weights, restores,
decides, and writes masks, overlays and tables. "one by one" does the same without threads. "network" is the bundle's
own network on pixels that are prepared: what the engine alone allows. All use all cores that they are given. Each way
runs in processes of its own, in turn. The rate is that of the images after the first ones, by the clock, and the best
of the rounds counts, since other work on the machine can only slow a way down; beside it stands the CPU time per image.
Memory is the peak of a process of the verb, for each number of images.

`python benchmarks/folder.py 10 100` takes other numbers of images than 10, 100 and 1000.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

GOAL = 0.9
"""The rate of the verb is at least this share of that of the network alone."""

MEMORY_GOAL = 1.1
"""The peak of memory for the most images is at most this many times that for the fewest."""

COUNTS = (10, 100, 1000)
RATED = 100
"""Images at most in the measurement of the rate."""

WAYS = ("network", "one by one", "verb")
ROUNDS, FIRST = 2, 3
RECIPE = """\
data: {phantom: {scene: endoscopy, cases: 10, shape: [720, 960], split: {train: 0.4, val: 0.3, test: 0.3}}}
labels: {polyp: {value: 1, kind: thing}}
prepare: [{channels: 3}, {resize: {shape: [512, 512]}}, {standardize: imagenet}]
model: {smp: {arch: unet, encoder: tu-tf_mobilenetv3_large_100, pretrained: null}}
loss: dice
"""


def main(*counts: str | int) -> dict[str, Any]:
    sizes = sorted(map(int, counts)) or list(COUNTS)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        _write(home, sizes[-1])
        rated = min(RATED, sizes[-1])
        runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(ROUNDS):
            for way in WAYS:
                runs[way].append(_measured(way, rated, home))
        peaks = {n: _measured("verb", n, home)["peak_mb"] for n in sizes}
    rates = {way: max(run["images_per_second"] for run in runs[way]) for way in WAYS}
    cpu = {way: min(run["cpu_ms"] for run in runs[way]) for way in WAYS}
    found = {
        "images_per_second": rates,
        "cpu_ms": cpu,
        "share_of_network": rates["verb"] / rates["network"],
        "times_one_by_one": rates["verb"] / rates["one by one"],
        "peak_mb": peaks,
        "memory": peaks[sizes[-1]] / peaks[sizes[0]],
    }
    for way in WAYS:
        print(
            f"{way:12}{rates[way]:8.2f} images/s, {cpu[way]:6.0f} ms of CPU time ({rated} images)"
        )
    print(
        f"the verb has {found['share_of_network']:.2f} of the rate of the network alone (goal {GOAL}), "
        f"{found['times_one_by_one']:.2f} times that of one by one"
    )
    print(
        "peak memory "
        + ", ".join(f"{n} images {peak:.0f} MB" for n, peak in peaks.items())
        + f": {found['memory']:.2f} times (goal at most {MEMORY_GOAL})"
    )
    return found


def _write(home: Path, count: int) -> None:
    """The bundle, and `count` photographs, ten of them different."""
    from safetensors.torch import save

    from delineate.bundle import save_bundle
    from delineate.data import load_cases
    from delineate.files import write_image
    from delineate.models import load_model
    from delineate.recipe import load_recipe

    (home / "r.yaml").write_text(RECIPE)
    recipe = load_recipe(home / "r.yaml")
    model = load_model(recipe.model, channels=3, heads={"dense": 1}, ndim=2)
    save_bundle(home / "bundle", recipe, {"channels": 3, "ndim": 2}, save(model.state_dict()))
    cases = [case for split in load_cases(recipe).values() for case in split]
    for number in range(count):
        path = home / "photos" / f"{number:05d}.jpg"
        if number < len(cases):
            write_image(cases[number].image, path)
        else:
            shutil.copy(home / "photos" / f"{number % len(cases):05d}.jpg", path)


def _measured(way: str, count: int, home: Path) -> dict[str, float]:
    command = [sys.executable, __file__, way, str(count), str(home)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def _run(way: str, count: int, home: Path) -> dict[str, float]:
    photos = sorted((home / "photos").glob("*.jpg"))[:count]
    run = {"network": _network, "one by one": _one_by_one, "verb": _verb}[way]
    work = run(home)
    clock, cpu = [], []
    for some in (photos[:FIRST], photos[:FIRST], photos):  # the first time also loads
        start, begun = time.perf_counter(), time.process_time()
        work(some)
        clock.append(time.perf_counter() - start)
        cpu.append(time.process_time() - begun)
    shutil.rmtree(home / "out", ignore_errors=True)
    more = len(photos) - FIRST
    return {
        "images_per_second": more / (clock[2] - clock[1]),
        "cpu_ms": 1000 * (cpu[2] - cpu[1]) / more,
        "peak_mb": _peak_mb(),
    }


def _network(home: Path) -> Callable[[list[Path]], None]:
    from delineate.bundle import load_bundle
    from delineate.files import read_image

    predictor = load_bundle(home / "bundle", device="cpu")

    def work(photos: list[Path]) -> None:
        pixels, _ = predictor.prepare(read_image(photos[0]))
        for _ in photos:
            predictor.network(pixels[None])

    return work


def _one_by_one(home: Path) -> Callable[[list[Path]], None]:
    from delineate.bundle import load_bundle
    from delineate.data import cases_of
    from delineate.predictions import PredictionFolder, predict_case

    predictor = load_bundle(home / "bundle", device="cpu", keep_probabilities=True)

    def work(photos: list[Path]) -> None:
        folder = PredictionFolder(home / "out", "a digest")
        with folder.table():
            for case in cases_of(photos):
                predict_case(predictor, case, folder)

    return work


def _verb(home: Path) -> Callable[[list[Path]], None]:
    from delineate import verbs
    from delineate.progress import quiet

    def work(photos: list[Path]) -> None:
        with quiet():
            verbs.predict(home / "bundle", photos, home / "out", device="cpu")

    return work


def _peak_mb() -> float:
    spec = importlib.util.spec_from_file_location("t", Path(__file__).with_name("train_step.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return float(module._memory_mb()["peak"])


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in WAYS:
        print(json.dumps(_run(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
    else:
        main(*sys.argv[1:])
