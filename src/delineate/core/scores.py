"""Names of the per-label entries of `Segmentation.scores`."""

PRESENCE = "presence of {label}"
"""The probability that the image shows a label."""

EXPECTED_DICE = "expected dice of {label}"
"""The Dice of a label that the model itself estimates, without truth."""
