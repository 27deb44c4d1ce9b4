"""Post-processing, Segmentation -> Segmentation: one step per file.

Steps run on the grid of the file, in the order of the recipe. `Segmentation.changed` replaces the label map of a
segmentation and adapts its instances and probabilities.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from delineate.core import Image, Network, Refinement, Segmentation
from delineate.refine._crops import Crop, crops
from delineate.resolve import Call, build

__all__ = [
    "Crop",
    "Learn",
    "LoadRefiner",
    "crops",
    "learner_of",
    "learnt",
    "load_refine",
    "tried",
    "tried_by",
]

LoadRefiner = Callable[[str], tuple[Network, int]]
"""The path of a bundle -> its refinement network, and the number of channels of its input."""

Learn = Callable[[Iterable[tuple[Segmentation, Segmentation, Image]]], Mapping[str, Any]]
"""Predictions of cases that the model did not see, each with its truth and image -> the arguments of a step."""


class NothingToLearnError(ValueError):
    """The predictions hold nothing that a step could learn from; the message says why."""


Maker = TypeVar("Maker", bound=Callable[..., Refinement])


def load_refine(calls: Sequence[Call], load: LoadRefiner | None = None) -> tuple[Refinement, ...]:
    """Build the steps that a recipe names, in order.

    Args:
        calls: the section `refine` of a recipe.
        load: loads the refinement network of a bundle that a step names. None while a model is trained: it has no such
            bundle yet.

    Raises:
        RecipeError: a step cannot be built, or needs a bundle while there is none.
    """
    return tuple(build("refine", call, load=load or _no_network) for call in calls)


def _no_network(path: str) -> tuple[Network, int]:
    raise ValueError(
        f"{path}: a network that refines is trained on the predictions of a trained model. Leave it out of the "
        "recipe, and give it to the run afterwards: delineate refine fit RUN."
    )


def tried(*arguments: Mapping[str, Any]) -> Callable[[Maker], Maker]:
    """Record the sets of arguments that `delineate refine fit` tries for a step, the default to begin with first.

    They are kept in order as `tried` of the function. Of a step without them, the defaults are tried.

    Raises:
        ValueError: no set is given.
    """
    if not arguments:
        raise ValueError(
            "tried() got no set of arguments; give at least one, such as tried({}) for the defaults."
        )

    def record(maker: Maker) -> Maker:
        maker.tried = tuple(dict(one) for one in arguments)  # type: ignore[attr-defined]
        return maker

    return record


def tried_by(maker: Callable[..., Any]) -> tuple[Mapping[str, Any], ...]:
    """The sets of arguments recorded by `tried`; empty if there are none."""
    return tuple(getattr(maker, "tried", ()))


def learnt(learn: Learn) -> Callable[[Maker], Maker]:
    """Record how `delineate refine fit` learns the arguments of a step, as `learn` of the function."""

    def record(maker: Maker) -> Maker:
        maker.learn = learn  # type: ignore[attr-defined]
        return maker

    return record


def learner_of(maker: Callable[..., Any]) -> Learn | None:
    """How the arguments of a step are learnt, recorded by `learnt`; None if they are not."""
    return getattr(maker, "learn", None)
