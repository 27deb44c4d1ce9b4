"""Any network of timm as a classifier of whole images."""

from __future__ import annotations

import difflib
import warnings
from contextlib import nullcontext
from typing import Any

from torch import Tensor, nn

from delineate.arguments import FractionBelowOne
from delineate.core.output import Output
from delineate.models._pretrained import fetching
from delineate.models._weights import ENDINGS, load_encoder


def classifier(
    *,
    channels: int,
    image_classes: int,
    ndim: int,
    encoder: str = "efficientnet_b0",
    pretrained: str | None = None,
    dropout: FractionBelowOne = 0.0,
    encoder_options: dict[str, Any] | None = None,
) -> nn.Module:
    """A timm network with a linear head on its pooled features: image-level logits; 2D.

    Args:
        channels: channels of the images.
        image_classes: image-level logits.
        ndim: spatial axes; 2.
        encoder: a timm name (efficientnet_b3, convnext_tiny), with or without the tag of its weights.
        pretrained: imagenet, downloaded once into timm's cache; or a file of the network's weights, whose
            classifier layer is ignored; or null for random weights.
        dropout: probability with which a pooled feature is dropped during training, in [0, 1).
        encoder_options: further arguments of the timm network, such as img_size or drop_path_rate.

    Raises:
        ValueError: an unknown name, or weights that are not available or do not fit.
    """
    import timm

    if ndim != 2:
        raise ValueError(
            f"classifier supports 2 spatial axes; the data have {ndim}. Classify slices, or use a segmentation model."
        )
    if not timm.is_model(encoder):
        near = difflib.get_close_matches(encoder, timm.list_models(), n=3, cutoff=0.5)
        raise ValueError(
            f"timm has no network {encoder!r}{'; similar names: ' + ', '.join(near) if near else ''}."
        )
    file = pretrained if pretrained and pretrained.lower().endswith(ENDINGS) else None
    if pretrained not in (None, "imagenet", file):
        raise ValueError(
            f"pretrained is {pretrained!r}; expected imagenet (another set is named with the encoder, "
            f"{encoder.partition('.')[0]}.tag) or a file that ends in {', '.join(ENDINGS)}."
        )
    fetched = pretrained is not None and file is None
    if fetched and not timm.models.is_model_pretrained(encoder):
        raise ValueError(f"timm has no pretrained weights for {encoder}; write pretrained: null.")
    with (
        fetching(f"{pretrained} weights of {encoder}") if fetched else nullcontext(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        network: Any = timm.create_model(
            encoder,
            pretrained=fetched,
            in_chans=channels,
            num_classes=0,
            **(encoder_options or {}),
        )
    if file:
        named = network.pretrained_cfg.get("classifier") or ()
        head = (named,) if isinstance(named, str) else tuple(named)
        load_encoder(network, file, channels, whole=True, without=head)
    return _Classifier(network, image_classes, dropout)


class _Classifier(nn.Module):
    def __init__(self, network: Any, image_classes: int, dropout: float) -> None:
        super().__init__()
        self.network = network
        features = getattr(network, "head_hidden_size", None) or network.num_features
        assert isinstance(features, int)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features, image_classes)

    def forward(self, pixels: Tensor) -> Output[Tensor]:
        return Output(image=self.head(self.dropout(self.network(pixels))))
