"""Train, evaluate and predict once on phantom polyps: nothing to download, a few minutes on two cores."""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files
from pathlib import Path

from delineate.data import load_cases
from delineate.files import write_image
from delineate.progress import say
from delineate.recipe import load_recipe
from delineate.verbs._evaluation import summary
from delineate.verbs.predict import predict
from delineate.verbs.train import train

PHOTOS = 8


def demo(out: str | Path = "outputs/demo") -> Path:
    """Train on phantom polyps, evaluate, report, then predict image files.

    Returns:
        The run's folder; besides the files of `train` it holds `photos/` and `masks/`.
    """
    with_recipe = files("delineate.verbs").joinpath("demo.yaml")
    recipe = load_recipe(Path(str(with_recipe)))
    run = Path(out) / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    _say("1/3", f"train {recipe.name} and evaluate it")
    train(recipe, run=run)
    print(summary(run))
    _say("2/3", "write some unseen frames as photographs")
    for case in load_cases(recipe)["test"][:PHOTOS]:
        write_image(case.image, run / "photos" / f"{case.id}.png")
    _say("3/3", "predict them from their files")
    predict(run, [run / "photos"], run / "masks")
    print(
        f"\nreport      {run / 'report.html'}"
        f"\nphotographs {run / 'photos'}"
        f"\nmasks       {run / 'masks'} (with overlays/ and predictions.csv)"
    )
    return run


def _say(step: str, what: str) -> None:
    say(f"\n[{step}] {what}")
