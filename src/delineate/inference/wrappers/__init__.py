"""Wrappers, Network -> Network or CasePredictor -> CasePredictor: one per file.

The name of a wrapper's first argument says what it wraps: `network` or `predictor`. A recipe lists wrappers from the
innermost to the outermost, those of networks first. The result must be picklable: a `functools.partial` of a function,
or a dataclass.
"""

from collections.abc import Callable, Sequence
from inspect import signature

from delineate.core import LabelSet, Network
from delineate.inference.predictor import CasePredictor
from delineate.resolve import Call, build, check, resolve

__all__ = ["wrap_network", "wrap_predictor"]


def wrap_network(
    calls: Sequence[Call], network: Network, labels: LabelSet | None = None
) -> Network:
    """Wrap a network in the wrappers of networks that a recipe lists.

    Args:
        calls: all wrappers of the recipe; those of predictors are skipped.
        network: the network to wrap.
        labels: the labels of the recipe, for a wrapper that needs them.

    Raises:
        RecipeError: a wrapper cannot be built, wraps neither, or wraps a network but follows one of predictors.
    """
    for call in _split(calls)[0]:
        network = build("predict", call, network=network, labels=labels)
    return network


def wrap_predictor(
    calls: Sequence[Call], predictor: CasePredictor, load: Callable[[str], CasePredictor]
) -> CasePredictor:
    """Wrap a predictor in the wrappers of predictors that a recipe lists.

    Args:
        calls: all wrappers of the recipe; those of networks are skipped.
        predictor: with the wrapped network.
        load: loads the predictor of a bundle that a wrapper names.

    Raises:
        RecipeError: as `wrap_network`; or a wrapper that does not return a `CasePredictor`.
    """
    for call in _split(calls)[1]:
        wrapped = build("predict", call, predictor=predictor, load=load)
        if not isinstance(wrapped, CasePredictor):
            raise call.fail(
                f"{call.name} returns {type(wrapped).__name__}; expected a CasePredictor, for instance "
                "dataclasses.replace(predictor, source=...)."
            )
        predictor = wrapped
    return predictor


def _split(calls: Sequence[Call]) -> tuple[list[Call], list[Call]]:
    """The wrappers of networks, and those of predictors."""
    networks: list[Call] = []
    predictors: list[Call] = []
    for call in calls:
        check("predict", call)
        first = next(iter(signature(resolve("predict", call)).parameters), None)
        if first not in ("network", "predictor"):
            raise call.fail(
                f"the first argument of {call.name} is {first}; expected network or predictor, whichever it wraps."
            )
        if first == "network" and predictors:
            outer = predictors[-1].name
            raise call.fail(
                f"{call.name} wraps a network but follows {outer}, which wraps a predictor. The list goes from the "
                f"innermost to the outermost: write {call.name} before {outer}."
            )
        (networks if first == "network" else predictors).append(call)
    return networks, predictors
