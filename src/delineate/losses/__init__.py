"""Output x Target -> number: one loss per file.

A loss reads logits: one channel is one label against the rest (sigmoid), several are background and the
labels in order (softmax, unless the loss says otherwise). Pixels that are not valid take no part. Sums are
float32, under mixed precision too.
"""

from delineate.losses._sum import Loss, load_loss

__all__ = ["Loss", "load_loss"]
