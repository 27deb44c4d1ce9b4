"""Loggers besides metrics.csv."""

import pytest

from delineate.resolve import Call, RecipeError, build
from delineate.training import loggers


def test_without_its_package_wandb_says_what_to_install(tmp_path, monkeypatch):
    def absent(**settings):
        raise ModuleNotFoundError("No module named 'wandb'")

    monkeypatch.setattr(loggers, "WandbLogger", absent)
    with pytest.raises(
        RecipeError, match=r"^r.yaml:9: the logger wandb needs its package: pip install 'delineate"
    ):
        build("loggers", Call("wandb", {"offline": True}, "r.yaml:9"), run=tmp_path)


def test_wandb_offline_writes_into_the_folder_of_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(loggers, "WandbLogger", lambda **settings: settings)
    found = build("loggers", Call("wandb", {"offline": True, "project": "polyps"}), run=tmp_path)
    assert found == {
        "save_dir": tmp_path,
        "name": tmp_path.name,
        "project": "polyps",
        "offline": True,
        "entity": None,
    }
