"""Refinement fitted to a run: out-of-fold predictions, the choice of steps, the bundle, the ablation."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from delineate import load_bundle, load_recipe, verbs
from delineate.bundle import join_bundles, load_refiner, open_bundle
from delineate.cli import main
from delineate.evaluation.evaluate import evaluate
from delineate.inference import CasePredictor
from delineate.metrics import load_metrics
from delineate.refine import load_refine
from delineate.resolve import Call
from delineate.verbs._ablation import Measure
from delineate.verbs._refinement_network import network_problem
from delineate.verbs._run_folder import RunFolder

HOME = Path(__file__).parents[2]


@pytest.fixture
def run(tiny_run, tmp_path):
    return shutil.copytree(tiny_run, tmp_path / "run")


def rows(run):
    with open(run / "refinement/ablation.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_case_is_predicted_by_a_model_that_did_not_see_it(run, monkeypatch):
    from delineate.training import fit as module

    seen = {}

    def spy(recipe, splits, place, card, train=module.fit):
        seen[place.name] = {case.id for case in splits["train"]}
        assert set(splits) == {"train"}, "no case selects the weights"
        return train(recipe, splits, place, card)

    monkeypatch.setattr(module, "fit", spy)
    verbs.refine_fit(run, folds=2, steps=["fill_holes"])
    splits = RunFolder.find(run).cases()
    cases = {case.id for name in ("train", "val") for case in splits[name]}
    predicted = {
        name: {path.stem for path in (run / "refinement" / name / "predictions").iterdir()}
        for name in seen
    }
    assert set(seen) == {"fold-0", "fold-1"}
    assert set.union(*predicted.values()) == cases
    assert all(not seen[name] & predicted[name] for name in seen)
    assert all(seen[name] | predicted[name] == cases for name in seen)


def test_steps_that_do_not_help_are_left_out_and_the_bundle_says_so(run, capsys):
    before = open_bundle(run)
    assert (
        main(["refine", "fit", str(run), "--folds", "2", "--steps", "keep_largest_component"]) == 0
    )
    told = capsys.readouterr().out
    assert "13 cases of 5 groups" in told
    after = open_bundle(run)
    (step,) = after.card["refinement"]["steps"]
    assert step["step"] == "keep_largest_component"
    names = [call.name for call in after.recipe.refine]
    assert ("keep_largest_component" in names) == step["kept"]
    assert ("kept" if step["kept"] else "left out") in told
    assert after.weights.read_bytes() == before.weights.read_bytes()
    assert [row["step"] for row in rows(run)] == ["none", "keep_largest_component", "all kept"]
    assert (run / "report.html").is_file(), "it is evaluated again"
    assert list(after.card["scores"]) == ["test"]
    load_bundle(run)


def kept_always(monkeypatch):
    """Every step helps, so that the bundle gets it."""
    from delineate.evaluation.stats.interval import Interval

    monkeypatch.setattr(Measure, "gain", lambda *_: (0.1, Interval(0.05, 0.15)))


def test_what_helps_is_in_the_bundle_and_a_later_call_replaces_it(run, monkeypatch):
    kept_always(monkeypatch)
    verbs.calibrate(run, review=0.3)
    before = open_bundle(run).card["calibration"]
    verbs.refine_fit(run, folds=2, steps=["components", "vote"])
    names = [call.name for call in open_bundle(run).recipe.refine]
    assert names == ["components", "vote"]
    after = open_bundle(run).card["calibration"]
    assert after["review"]["share"] == before["review"]["share"] == 0.3
    assert after["made"] != before["made"]
    verbs.refine_fit(run, folds=2, steps=["fill_holes"])
    bundle = open_bundle(run)
    assert [call.name for call in bundle.recipe.refine] == ["fill_holes"]
    assert [step["step"] for step in bundle.card["refinement"]["steps"]] == ["fill_holes"]
    joined = join_bundles([bundle, open_bundle(shutil.copytree(run, run.parent / "other"))])
    assert "refinement" not in joined.card


def test_code_that_is_not_trusted_is_refused_before_anything_is_trained(run):
    with pytest.raises(ValueError, match="--trust my_lab"):
        verbs.refine_fit(run, folds=2, steps=["my_lab:step"])
    assert not (run / "refinement").exists()


def test_weights_that_know_the_cases_are_refused(run):
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["model"]["init_from"] = str(run)
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(ValueError, match="initial weights"):
        verbs.refine_fit(run, folds=2, steps=["fill_holes"])


def test_members_of_an_ensemble_do_not_predict_folds(run, tiny_run, monkeypatch):
    from delineate.training import fit as module

    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["predict"] = [{"flips": [0]}, {"ensemble": {"bundles": [str(tiny_run)]}}]
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    seen = []

    def spy(recipe, splits, place, card, train=module.fit):
        seen.append([call.name for call in recipe.predict])
        return train(recipe, splits, place, card)

    monkeypatch.setattr(module, "fit", spy)
    verbs.refine_fit(run, folds=2, steps=["fill_holes"])
    assert seen == [["flips"], ["flips"]]


def test_changed_data_make_the_folds_anew(run, monkeypatch):
    from delineate.verbs import _out_of_fold as module

    verbs.refine_fit(run, folds=2, steps=["fill_holes"])
    before = (run / "refinement/fold-0/bundle/card.json").stat().st_mtime_ns
    monkeypatch.setattr(module, "data_hash", lambda splits: "other")
    verbs.refine_fit(run, folds=2, steps=["fill_holes"])
    assert (run / "refinement/fold-0/bundle/card.json").stat().st_mtime_ns > before


def test_a_second_call_trains_no_fold_again(run, monkeypatch):
    verbs.refine_fit(run, folds=2, steps=["fill_holes"])
    from delineate.training import fit as module

    monkeypatch.setattr(module, "fit", None)
    again = verbs.refine_fit(run, folds=2, steps=["keep_largest_component", "fill_holes"])
    assert [one.step for one in again.tried] == ["keep_largest_component", "fill_holes"]


@pytest.mark.slow
def test_a_network_is_trained_carried_in_the_bundle_and_compared(run, capsys, tmp_path):
    refined = verbs.refine_fit(run, folds=2, steps=["fill_holes", "network"], network_time="2s")
    assert [one.step for one in refined.tried] == ["fill_holes", "network"]
    words = ["compare", str(run), "--refine", "none,fill_holes,network", "-o", str(tmp_path / "c")]
    assert main(words) == 0
    assert "network - no refinement" in capsys.readouterr().out
    compared = json.loads((tmp_path / "c/comparison.json").read_text())
    assert compared
    bundle = run / "bundle"
    kept = refined.tried[-1].kept
    assert bool(list(bundle.glob("parts/*/card.json"))) == kept
    shutil.rmtree(run / "refinement")
    case = RunFolder.find(run).cases()["test"][0]
    assert np.isin(load_bundle(run)(case).classes, [0, 1]).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"folds": 1}, "folds is 1; expected at least 2"),
        ({"steps": []}, "steps is empty"),
        ({"steps": ["vot"]}, "vot"),
        ({"steps": ["fill_holes", "fill_holes"]}, "each step once"),
        ({"steps": ["network", "fill_holes"]}, "expected network as the last"),
        ({"network_time": "soon"}, "'soon'; expected a time"),
        ({"folds": 99, "steps": ["fill_holes"]}, "99"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_trained(run, given, message):
    with pytest.raises(ValueError, match=message):
        verbs.refine_fit(run, **given)
    assert not list((run / "refinement").glob("fold-*"))


def test_a_network_needs_images_of_two_axes_and_no_threshold():
    recipe = load_recipe(HOME / "recipes/hippocampus-slices.yaml")
    assert "two axes" in network_problem(recipe, 3)
    polyps = load_recipe(HOME / "recipes/polyp-quick.yaml", ["task={semantic: {threshold: 0.3}}"])
    assert "threshold" in network_problem(polyps, 2)
    assert network_problem(load_recipe(HOME / "recipes/polyp-quick.yaml"), 2) is None
    regions = load_recipe(HOME / "recipes/abdomen-regions.yaml")
    assert "semantic" in network_problem(regions, 2)


def test_only_a_refinement_network_with_the_same_labels_is_loaded(tiny_run):
    bundle = open_bundle(tiny_run)
    with pytest.raises(ValueError, match="is a model unet; expected a refinement network"):
        load_refiner(bundle, bundle, "cpu")


def test_a_bundle_cannot_name_a_network_outside_of_it(tiny_run, doctored):
    outside = str((tiny_run / "bundle").resolve())
    with pytest.raises(ValueError, match="has no member"):
        load_bundle(doctored(refine=[{"network": {"bundle": outside}}]))


def test_a_recipe_to_train_cannot_name_a_network_that_refines(tiny_recipe, tmp_path):
    with pytest.raises(ValueError, match="delineate refine fit RUN"):
        verbs.train(
            tiny_recipe, overrides=["refine=[{network: {bundle: somewhere}}]"], run=tmp_path / "r"
        )


def test_each_case_is_predicted_once_and_scored_as_by_separate_predictors(
    tiny_run, monkeypatch, tmp_path
):
    cases = RunFolder.find(tiny_run).cases()["test"]
    predictor = load_bundle(tiny_run)
    calls = []

    def counted(self, case, probabilities=CasePredictor.probabilities):
        calls.append(case.id)
        return probabilities(self, case)

    monkeypatch.setattr(CasePredictor, "probabilities", counted)
    stages = ["none", "components", "fill_holes"]
    ablation, folder = verbs.compare_refinements(tiny_run, stages, tmp_path / "c")
    assert calls == [case.id for case in cases], "nor does a picture need the network"
    assert "data:image" in (folder / "report.html").read_text(encoding="utf-8")
    steps = [load_refine([Call(name)])[0] for name in stages[1:]]
    for k, table in enumerate(ablation.comparison.tables.values()):
        alone = replace(predictor, refine=steps[:k], keep_probabilities=True)
        expected = evaluate(alone, cases, load_metrics([Call("dice")]))
        assert table.rows == expected.rows


def test_several_runs_are_one_table_of_runs_and_stages(run, tiny_run, capsys, tmp_path):
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    (run / "recipe.yaml").write_text(
        yaml.safe_dump(
            {**recipe, "name": "other", "refine": [{"remove_small_objects": {"min_size": 1}}]},
            sort_keys=False,
        )
    )
    out = tmp_path / "c"
    words = ["compare", str(tiny_run), str(run), "--refine", "none,components,fill_holes"]
    assert main([*words, "-o", str(out)]) == 0
    told = capsys.readouterr().out
    with open(out / "ablation.csv", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    first, other = dict.fromkeys(row["run"] for row in table)
    assert [(row["run"], row["stage"]) for row in table if row["metric"] == "dice"] == [
        *((first, s) for s in ("no refinement", "components", "fill_holes")),
        *((other, s) for s in ("the recipe's refinement", "components", "fill_holes")),
    ]
    page = (out / "report.html").read_text(encoding="utf-8")
    for said in (
        f"{other} with fill_holes against {other} with the recipe&#39;s refinement",
        f"{first} with fill_holes against {first} without refinement",
        "Against the stage before",
    ):
        assert said in page or said in told, said
    assert "none" not in {row["stage"] for row in table}
    assert str(run) in page
    assert str(tiny_run) in page


def test_runs_with_other_cases_do_not_fit_into_one_table(run, tiny_run, capsys, tmp_path):
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["data"]["phantom"]["split"] = {"train": 0.25, "val": 0.25, "test": 0.5}
    (run / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "name": "other"}, sort_keys=False))
    words = ["compare", str(tiny_run), str(run), "--refine", "none,components"]
    assert main([*words, "-o", str(tmp_path / "c")]) == 2
    assert "test cases" in capsys.readouterr().err
    assert main(["compare", str(run), str(run), "--refine", "none,components"]) == 2
    assert "given twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--refine", "none"], "at least two stages"),
        (["--refine", "none,network"], "has no refinement network"),
        (["--refine", "none,vot"], "vot"),
        (["--refine", "none,fill_holes", "--common"], "--common"),
        (["--device", "cpu"], "--device is for --refine"),
    ],
)
def test_a_bad_comparison_of_steps_is_refused(tiny_run, words, message, capsys, tmp_path):
    assert main(["compare", str(tiny_run), *words, "-o", str(tmp_path / "c")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_the_measure_is_the_mean_of_labels_over_the_cases_that_count():
    nan = float("nan")
    before = np.array([[0.5, nan], [0.7, 0.0], [nan, nan]])
    after = np.array([[0.5, nan], [0.9, nan], [nan, 0.4]])
    groups, names = ["a", "b", "c"], ("polyp", "cyst")
    dice = Measure("dice", names, groups, (0, 1))
    assert dice.gain(after, before)[0] == pytest.approx((0.7 + 0.4) / 2 - (0.6 + 0.0) / 2)
    assert dice.means(before, present=True) == {"polyp": pytest.approx(0.6), "cyst": 0.0}
    challenge = Measure("dice_empty1", names, groups, (0, 1))
    assert challenge.gain(after, before)[0] == pytest.approx((2.4 + 2.4) / 6 - (2.2 + 2.0) / 6)
    assert challenge.means(before) == {
        "polyp": pytest.approx(2.2 / 3),
        "cyst": pytest.approx(2 / 3),
    }
    resampled = dice.mean(before, np.array([[1, 1, 1], [0, 2, 1], [0, 0, 3]]))
    assert resampled[:2] == pytest.approx([0.3, 0.35])
    assert np.isnan(resampled[2])


def test_a_label_that_few_patients_have_does_not_decide():
    groups = [str(i) for i in range(40)]
    truths = np.zeros((40, 2), bool)
    truths[:, 0] = truths[:4, 1] = True
    measure = Measure.of_truths("dice", ("polyp", "cyst"), groups, truths)
    assert measure.left_out == ["cyst"]
    before = np.full((40, 2), np.nan)
    before[:, 0] = 0.6
    after = before.copy()
    before[0, 1], after[0, 1] = 0, 0.9
    before[20, 1] = 0  # a false region that is removed
    assert measure.gain(after, before)[0] == 0
    truths[4, 1] = True
    assert Measure.of_truths("dice", ("polyp", "cyst"), groups, truths).left_out == []
    assert Measure.of_truths("dice_empty1", ("polyp", "cyst"), groups, 0 * truths).left_out == []
    few = Measure.of_truths("dice", ("polyp", "cyst"), ["a"] * 39 + ["b"], truths)
    assert few.left_out == ["cyst"]


def test_a_step_that_learns_is_cross_fitted_and_compared(run, monkeypatch):
    kept_always(monkeypatch)
    result = verbs.refine_fit(run, folds=2, steps=["classify"])
    (tried,) = result.tried
    assert set(tried.arguments) <= {"labels", "background"}
    (call,) = open_bundle(run).recipe.refine
    assert call.name == "classify"
    assert call.args == tried.arguments
    predictor = load_bundle(run)
    case = RunFolder.find(run).cases()["test"][0]
    assert predictor(case).classes.shape == case.image.geometry.shape
    ablation, _ = verbs.compare_refinements(run, ["none", "classify"], out=run / "compared")
    assert len(ablation.comparison.names) == 2


def test_where_nothing_is_predicted_a_step_learns_nothing_and_the_fit_goes_on(
    run, monkeypatch, capsys
):
    from delineate.verbs._out_of_fold import OutOfFold

    known = OutOfFold.prediction

    def empty(self, case, truth):
        found = known(self, case, truth)
        return found.changed(0 * found.classes)

    monkeypatch.setattr(OutOfFold, "prediction", empty)
    result = verbs.refine_fit(run, folds=2, steps=["classify", "network"], network_time="1s")
    assert [one.kept for one in result.tried] == [False, False]
    told = capsys.readouterr().err
    assert "classify learns nothing: no region was predicted" in told
    with pytest.raises(ValueError, match="learnt nothing yet"):
        verbs.compare_refinements(run, ["none", "classify"])


def test_a_step_that_has_learnt_nothing_is_not_compared(run):
    with pytest.raises(ValueError, match="learnt nothing yet"):
        verbs.compare_refinements(run, ["none", "classify"])


def test_an_unknown_metric_is_refused(run):
    with pytest.raises(ValueError, match="'dice' or 'dice_empty1'"):
        verbs.refine_fit(run, metric="accuracy")
