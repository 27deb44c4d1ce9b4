"""What each metric says, in a reader's words."""

from __future__ import annotations

from delineate.evaluation.report._words import arguments
from delineate.resolve import names, resolve

EXPLAINED = {
    "dice": (
        "Overlap of what was found with the truth: twice the shared area or volume by the sum of both. 1 is "
        "perfect, 0 is apart."
    ),
    "iou": "Overlap: the shared area or volume by that of both together. Stricter than Dice, and never above it.",
    "precision": "Of what was found, the share that is true (positive predictive value).",
    "recall": "Of what is true, the share that was found (sensitivity).",
    "specificity": (
        "Of what is not the label, the share that was rightly left alone. Near 1 wherever the background is "
        "large."
    ),
    "f_beta": "Precision and recall in one number",
    "pixel_accuracy": "Share of pixels or voxels that are right, the background included, which dominates it.",
    "balanced_accuracy": (
        "Mean of the recall of all classes, the background as one of them, so that a large one does not drown "
        "a small one."
    ),
    "volume_error": (
        "Difference of the size found from the true size, relative to the true size. Says nothing of the "
        "place."
    ),
    "dice_at": "Dice where everything above a stated probability counts as found.",
    "dice_soft": "Dice of the probabilities themselves, without a threshold.",
    "dice_swept": "Mean of the Dice over a range of thresholds.",
    "cldice": (
        "Overlap of the centre lines with the other's area or volume: whether vessels and other tubes stay "
        "connected."
    ),
    "hausdorff": (
        "The largest distance from a point of one surface to the other surface. A single stray pixel decides "
        "it."
    ),
    "hd95": (
        "The distance that 95 % of the points of a surface lie within of the other, the larger of the two "
        "directions."
    ),
    "hd95_pooled": "As HD95, but with the distances of both directions taken together before the percentile.",
    "hd95_surfel": "As HD95, with each point weighted by the piece of surface it stands for.",
    "assd": "Mean distance between the two surfaces, over the points of both.",
    "nsd": (
        "Normalised surface Dice, the share of the two surfaces that lie within a tolerance of each other: how much "
        "of the outline needs no correction."
    ),
    "nsd_voxel": "As NSD, counting surface voxels instead of measuring the surface.",
    "pq": "Panoptic quality: objects matched one by one (IoU above 0.5), SQ times RQ.",
    "sq": "Segmentation quality: mean IoU of the objects that were matched.",
    "rq": "Recognition quality: the F1 of finding objects one by one.",
    "mask_ap": "Average precision of finding objects by their masks, averaged over IoU 0.50 to 0.95 (COCO).",
    "lesion_recall": "Of the lesions in the truth, the share that was found, one by one.",
    "lesion_precision": "Of the lesions found, the share that is true, one by one.",
    "lesion_f1": "Recall and precision of lesions in one number.",
    "auroc": "Probability that a pixel or voxel of the label is given a higher probability than one that is not.",
    "average_precision": "Precision averaged over all levels of recall, as the threshold is lowered.",
    "ece": "Expected calibration error: how far the stated probability of the label is from how often it is right.",
    "ece_top": "As ECE, for the probability of whichever class came first.",
    "brier": "Mean squared difference of the stated probability from what is true.",
    "expected_dice": "The Dice that the model itself expects from its probabilities, without seeing the truth.",
}  # fmt: skip


def explained(metric: str, unit: str = "") -> str:
    """What a metric says; of one not known here, what its own file says; "" of one that is not ours.

    unit: what lengths are measured in, where that is known.

    >>> explained("nsd_voxel", "px")
    'As NSD, counting surface voxels instead of measuring the surface. The tolerance is 2 px, the default.'
    """
    name = metric.partition("(")[0]
    if name in EXPLAINED:
        return EXPLAINED[name] + _argument(metric, unit)
    if name not in names("metrics"):  # nothing of somebody's own is imported to read a table
        return ""
    said = resolve("metrics", name).__doc__ or ""
    return said.strip().partition("\n")[0].replace("`", "")


def _argument(metric: str, unit: str) -> str:
    """The argument without which the score says nothing, and whether it is the default."""
    told = arguments(metric)
    default = "" if "(" in metric else ", the default"
    if "tolerance" in told:
        return f" The tolerance is {told['tolerance']}{f' {unit}' if unit else ''}{default}."
    if "beta" in told:
        return f"; beta is {told['beta']}{default}: {_weighs(float(told['beta']))}."
    return ""


def _weighs(beta: float) -> str:
    if beta == 1:
        return "both weigh the same, which is Dice"
    more, less = ("missing", "finding too much")[:: 1 if beta > 1 else -1]
    return f"{more} weighs more than {less}"
