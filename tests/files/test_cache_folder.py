from pathlib import Path

import pytest

from delineate.files import cache_folder


@pytest.fixture
def no_home(monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.delenv("DELINEATE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


def test_what_is_named_goes_before_the_home_folder(no_home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/delineate")
    monkeypatch.setenv("DELINEATE_CACHE", "/mine")
    assert cache_folder() == Path("/mine")
    monkeypatch.setenv("DELINEATE_CACHE", "")  # unset, as in `DELINEATE_CACHE= delineate train`
    assert cache_folder() == Path("/caches/delineate")


def test_without_a_home_folder_it_says_what_to_do(no_home):
    with pytest.raises(OSError, match=r"no home folder.*DELINEATE_CACHE.*trainer.cache=false"):
        cache_folder()
