"""Pretrained weights from where timm and smp keep them, or a clear word that they cannot be had."""

from __future__ import annotations

import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def fetching(what: str, seconds: float = 3.0) -> Iterator[None]:
    """Let timm and smp fetch weights within; from their cache alone where there is no connection.

    Left to itself the hub's client tries for most of a minute before it gives up.

    Raises:
        ValueError: the weights are neither in the cache nor to be fetched; with what to do.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _reachable(constants.ENDPOINT, seconds)
    try:
        yield
    except OSError as error:  # every failure of the hub's client, of urllib and of the disk is one
        raise ValueError(
            f"{what} are not in the cache ({constants.HF_HUB_CACHE}) and could not be fetched from "
            f"{constants.ENDPOINT}. Connect once, and they are kept; or give a file, pretrained: "
            "path/to/file.safetensors; or train from random weights, pretrained: null."
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = before


def _reachable(address: str, seconds: float) -> bool:
    """Whether the host of a web address, or the proxy that leads there, takes a connection."""
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
