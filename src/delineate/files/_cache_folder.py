"""Where what can be made again is kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$DELINEATE_CACHE, else `delineate` in the user's cache folder.

    Raises:
        OSError: the user has no home folder, as in some containers.
    """
    if given := os.environ.get("DELINEATE_CACHE"):
        return Path(given)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "delineate"
    try:
        return Path.home() / ".cache" / "delineate"
    except RuntimeError as error:
        raise OSError(
            "there is no folder for the cache, since this user has no home folder. Point DELINEATE_CACHE to "
            "a folder, or train with --set trainer.cache=false."
        ) from error
