"""Download of pretrained weights by timm and smp, with a clear error where it fails."""

from __future__ import annotations

import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def fetching(what: str, seconds: float = 3.0) -> Iterator[None]:
    """Allow timm and smp to download weights inside this context; without a connection they use their cache only.

    The Hugging Face client alone would retry for most of a minute without a connection.

    Raises:
        ValueError: the weights are not in the cache and cannot be downloaded.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _reachable(constants.ENDPOINT, seconds)
    try:
        yield
    except OSError as error:  # the Hugging Face client, urllib and the disk all raise it
        raise ValueError(
            f"{what} are not in the cache ({constants.HF_HUB_CACHE}) and could not be downloaded from "
            f"{constants.ENDPOINT}. Connect once to fill the cache; or give a file, pretrained: "
            "path/to/file.safetensors; or train from random weights, pretrained: null."
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = before


def _reachable(address: str, seconds: float) -> bool:
    """Whether the host of a web address, or the proxy for it, accepts a connection."""
    url = urllib.parse.urlsplit(address)
    proxy = urllib.request.getproxies().get(url.scheme)
    if proxy and not urllib.request.proxy_bypass(url.hostname or ""):
        url = urllib.parse.urlsplit(proxy)
    try:
        port = url.port or (443 if url.scheme == "https" else 80)
        socket.create_connection((url.hostname or "", port), timeout=seconds).close()
    except OSError:
        return False
    return True
