"""Recipes: one YAML file with every setting that affects a result, checked before anything runs."""

from delineate.recipe.calls import Where, as_call, as_calls, as_tree
from delineate.recipe.data_file import DataFile, load_data
from delineate.recipe.labels import dataset_labels, load_labels
from delineate.recipe.recipe import Recipe, all_calls, load_recipe, saved_recipe
from delineate.recipe.sections import DEFAULTS, SECTIONS
from delineate.recipe.yaml_file import read_yaml
from delineate.resolve import RecipeError

__all__ = [
    "DEFAULTS",
    "SECTIONS",
    "DataFile",
    "Recipe",
    "RecipeError",
    "Where",
    "all_calls",
    "as_call",
    "as_calls",
    "as_tree",
    "dataset_labels",
    "load_data",
    "load_labels",
    "load_recipe",
    "read_yaml",
    "saved_recipe",
]
