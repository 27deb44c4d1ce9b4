"""The names under which the scores of a segmentation hold what is known of each label."""

PRESENCE = "presence of {label}"
"""The probability that the image shows a label."""

EXPECTED_DICE = "expected dice of {label}"
"""The Dice that the model itself expects of a label."""
