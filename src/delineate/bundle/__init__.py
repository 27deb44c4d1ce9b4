"""A trained model as a readable folder: recipe.yaml, labels.json, card.json and one file of weights.

A bundle may contain others, its members: each folder in `parts/` is one, and the recipe's `predict` or
`refine` names it. A bundle may also be one file, NAME.delineate: a zip of its folder.

A bundle is data. Opening it runs none of its code; see SECURITY.md.
"""

from delineate.bundle.bundle import Bundle, join_bundles, open_bundle, open_member
from delineate.bundle.card import ENGINES
from delineate.bundle.load import assemble, load_bundle, load_network, load_refiner, member_of
from delineate.bundle.packed import PACKED
from delineate.bundle.rehash import rehash_bundle
from delineate.bundle.save import new_bundle, pack_bundle, save_bundle
from delineate.bundle.source import Source, find_source, model_in_words, named

__all__ = [
    "ENGINES",
    "PACKED",
    "Bundle",
    "Source",
    "assemble",
    "find_source",
    "join_bundles",
    "load_bundle",
    "load_network",
    "load_refiner",
    "member_of",
    "model_in_words",
    "named",
    "new_bundle",
    "open_bundle",
    "open_member",
    "pack_bundle",
    "rehash_bundle",
    "save_bundle",
]
