import pytest

from delineate.metrics import load_metrics, traits
from delineate.resolve import Call, RecipeError
from delineate.training.options import (
    RENAMED,
    Options,
    check_monitor,
    load_options,
    lower_is_better,
    monitored,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("10m", 600), ("1h30m", 5400), ("2h0m5s", 7205), (None, None)],
)
def test_times(text, seconds):
    assert Options(max_time=text).seconds == seconds


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"epochs": 0}, "epochs is 0; expected a whole number of 1 or more"),
        ({"max_time": "ten"}, "expected a time like '45s'"),
        ({"precision": "int8"}, "'fp32', 'bf16', 'fp16'"),
        (
            {"oversample_foreground": 1.0},
            "oversample_foreground is 1.0; expected a number above 0 and below 1, or null",
        ),
        ({"ema": 2}, "ema is 2; expected a number above 0 and below 1"),
        ({"monitor": "dice"}, "expected val/"),
        ({"workers": "some"}, "workers is 'some'"),
    ],
)
def test_settings_that_cannot_be_meant(args, said):
    with pytest.raises(RecipeError, match=f"r.yaml:9: .*{said}"):
        load_options(Call("trainer", args, "r.yaml:9"))


def test_loggers_by_name_or_with_arguments():
    options = load_options(
        Call("trainer", {"loggers": ["tensorboard", {"wandb": {"offline": True}}]})
    )
    assert options.loggers[1] == {"wandb": {"offline": True}}
    assert Options().loggers == ["tensorboard"]


def test_which_way_is_better_follows_from_the_metric():
    def distance(prediction, truth):
        return {}

    metrics = {"dice": load_metrics([Call("dice")])["dice"], "far": distance}
    traits(lower_is_better=True)(distance)
    ways = {
        m: lower_is_better(Options(monitor=f"val/{m}"), metrics) for m in ("dice", "far", "loss")
    }
    assert ways == {"dice": False, "far": True, "loss": True}


def test_what_is_monitored_is_named_or_the_first_metric_with_a_direction():
    metrics = load_metrics([Call("volume_error"), Call("mask_ap"), Call("hd95"), Call("dice")])
    assert monitored(Options(), metrics) == "val/mask_ap"
    assert not lower_is_better(Options(), metrics)
    assert monitored(Options(monitor="val/dice"), metrics) == "val/dice"
    assert monitored(Options(), {}) == "val/loss"
    for name, said in (
        ("dise", r"trainer.monitor is 'val/dise'; the recipe's metrics give val/loss, val/mask_ap"),
        ("volume_error", "neither more nor less of it is better"),
    ):
        with pytest.raises(RecipeError, match=f"r.yaml:9: .*{said}"):
            check_monitor(Options(monitor=f"val/{name}"), Call("trainer", {}, "r.yaml:9"), metrics)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_former_name_is_told_the_present_one(old, new):
    with pytest.raises(RecipeError, match=f"{old!r} any more; it is called {new!r}"):
        load_options(Call("trainer", {old: 1}, "r.yaml:1"))
