"""Post-processing, Segmentation -> Segmentation: one step per file.

Steps run on the grid of the file, in the order of the recipe. `Segmentation.changed` replaces the label map of a
segmentation and adapts its instances and probabilities.
"""

from collections.abc import Callable, Sequence

from delineate.core import Network, Refinement
from delineate.refine._crops import SIZE, Crop, crops
from delineate.resolve import Call, build

__all__ = ["SIZE", "Crop", "crops", "load_refine"]


def load_refine(
    calls: Sequence[Call], load: Callable[[str], Network] | None = None
) -> tuple[Refinement, ...]:
    """Build the steps that a recipe names, in order.

    Args:
        calls: the section `refine` of a recipe.
        load: loads the network of a bundle that a step names. None while a model is trained: it has no such bundle yet.

    Raises:
        RecipeError: a step cannot be built, or needs a bundle while there is none.
    """
    return tuple(build("refine", call, load=load or _no_network) for call in calls)


def _no_network(path: str) -> Network:
    raise ValueError(
        f"{path}: a network that refines is trained on the predictions of a trained model. Leave it out of the "
        "recipe, and give it to the run afterwards: delineate refine fit RUN."
    )
