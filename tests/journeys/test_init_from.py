"""Training in two stages: the second begins with the weights of the first."""

import csv
import json
import shutil
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file

from delineate import load_bundle, load_cases, load_recipe, verbs
from delineate.audit import Audit
from delineate.cli import main
from delineate.resolve import RecipeError

ABDOMEN = """\
data: {phantom: {scene: abdomen, cases: 20, shape: [48, 48], split: {train: 0.6, val: 0.2, test: 0.2}}}
labels: {liver: 1, spleen: 2, right_kidney: 3}
prepare: [{resize: {shape: [32, 32]}}, {standardize: image}]
model: {unet: {features: [4, 8]}}
loss: [{dice: {per: image}}, focal]
optimizer: {adamw: {lr: 1.0e-2}}
trainer: {epochs: 6, batch_size: 4, device: cpu, loggers: []}
metrics: [dice]
"""


def rows(run):
    with open(run / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def card_of(run):
    return json.loads((run / "bundle/card.json").read_text())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("stages")
    (home / "organs.yaml").write_text(ABDOMEN)
    return home


@pytest.fixture(scope="module")
def first(home):
    """The run of the first stage."""
    return verbs.train(home / "organs.yaml", run=home / "outputs/organs/2026-01-01_10-00-00")


@pytest.fixture
def again(first, home, tmp_path):
    """Train a second stage; the arguments are overrides."""

    def train(*overrides, run="second", source=None):
        given = [f"model.init_from={source or first}", *overrides]
        return verbs.train(home / "organs.yaml", overrides=given, run=tmp_path / run)

    return train


def test_the_second_stage_begins_where_the_first_ended(first, again, home, tmp_path, capsys):
    slow = ["optimizer.adamw.lr=1e-9", "trainer.epochs=1"]
    second = again(*slow)
    said = f"40 of 40 tensors copied from {first}, labels liver, spleen, right_kidney"
    assert said in capsys.readouterr().err
    fresh = verbs.train(home / "organs.yaml", overrides=slow, run=tmp_path / "fresh")
    begin, random, end = (float(rows(run)[0]["train/loss"]) for run in (second, fresh, first))
    assert begin < random < end + 1
    assert begin < float(rows(first)[0]["train/loss"])
    ours, theirs = (load_file(run / "bundle/weights.safetensors") for run in (second, first))
    for name in ours:
        if "running" not in name and "num_batches" not in name:
            np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6)


def test_a_head_of_other_labels_is_copied_by_label_and_named(again, first, capsys):
    labels = "labels={spleen: 2, left_kidney: 4, liver: 1}"
    second = again(labels, "optimizer.adamw.lr=1e-9", "trainer.epochs=1")
    said = (
        "heads.0: 4 outputs there, 4 here: copied by label for background, spleen, liver; left_kidney starts from "
        "random weights; right_kidney left out"
    )
    assert said in capsys.readouterr().err
    ours, theirs = (
        load_file(run / "bundle/weights.safetensors")["heads.0.weight"] for run in (second, first)
    )
    np.testing.assert_allclose(ours[[0, 1, 3]], theirs[[0, 2, 1]], atol=1e-6)
    assert not np.allclose(ours[2], theirs[3], atol=1e-3)
    assert said in card_of(second)["init_from"]["copied"]
    assert said in (second / "log.txt").read_text()


def test_a_head_without_a_label_in_common_starts_anew(again, capsys):
    again("labels={left_kidney: 4}", "trainer.epochs=1")
    said = capsys.readouterr().err
    assert (
        "heads.0: 4 outputs there, 1 here, one of them with a background: starts from random weights"
        in said
    )
    again("labels={left_kidney: 4, bowel: 5}", "trainer.epochs=1", run="third")
    assert "heads.0: 4 outputs there, 3 here: starts from random weights" in capsys.readouterr().err


def test_the_newest_finished_run_of_a_folder_is_taken_and_named(first, again, home, capsys, monkeypatch):  # fmt: skip
    for name, created, scores in (
        ("2026-02-01_10-00-00", "2026-02-01", True),
        ("2026-03-01_10-00-00", "2026-03-01", False),
    ):
        run = Path(shutil.copytree(first, first.parent / name, dirs_exist_ok=True))
        card = card_of(run) | {"created": created}
        if not scores:
            del card["scores"]
        (run / "bundle/card.json").write_text(json.dumps(card))
        verbs.rehash(run)
    card = card_of(first) | {"created": "2026-01-01"}
    (first / "bundle/card.json").write_text(json.dumps(card))
    verbs.rehash(first)
    monkeypatch.chdir(home)
    second = again("trainer.epochs=1", source="outputs/organs")
    chosen = "outputs/organs/2026-02-01_10-00-00"
    said = f"{chosen} is the newest of 2 finished runs in outputs/organs."
    assert said in capsys.readouterr().err
    assert yaml.safe_load((second / "recipe.yaml").read_text())["model"]["init_from"] == chosen
    assert card_of(second)["init_from"]["path"] == chosen


def test_damaged_runs_of_a_folder_are_left_out_and_named(first, home, tmp_path):
    from delineate.bundle import find_source

    (tmp_path / "runs").mkdir()
    recipe = load_recipe(home / "organs.yaml", [f"model.init_from={tmp_path / 'runs'}"])
    for name, spoiled, text in (
        ("a", "", ""),
        ("b", "card.json", "{"),
        ("c", "card.json", "[]"),
        ("d", "labels.json", "[]"),
    ):
        run = Path(shutil.copytree(first, tmp_path / "runs" / name))
        if spoiled:
            (run / "bundle" / spoiled).write_text(text)
    source = find_source(recipe)
    assert source.path == str(tmp_path / "runs/a")
    assert "/a is the newest of 1 finished runs" in source.chosen
    assert "Left out, since they cannot be used: b (" in source.chosen
    assert "; c (" in source.chosen
    assert "labels.json: the SHA-256 of the file differs" in source.chosen
    shutil.rmtree(tmp_path / "runs/a")
    with pytest.raises(RecipeError, match="none of its 3 runs is finished and can be read") as found:  # fmt: skip
        find_source(recipe)
    assert "not valid JSON" in str(found.value)


def test_a_bundle_and_a_resumed_run_need_no_source(first, again, tmp_path):
    source = Path(shutil.copytree(first, tmp_path / "source"))
    second = again("trainer.epochs=2", source=source)
    shutil.rmtree(source)
    load_bundle(second)
    verbs.evaluate(second)
    state = torch.load(second / "checkpoints/last.ckpt", weights_only=True)
    assert state["epoch"] == 1
    text = (second / "recipe.yaml").read_text().replace("epochs: 2", "epochs: 3")
    (second / "recipe.yaml").write_text(text)
    verbs.train(resume=second)
    assert len(rows(second)) == 3
    assert card_of(second)["init_from"]["name"] == "organs"


def test_a_changed_source_is_refused_until_the_first_checkpoint(first, again, tmp_path):
    from delineate.bundle import open_bundle, save_bundle

    source = Path(shutil.copytree(first, tmp_path / "source"))
    second = again("trainer.epochs=1", source=source)
    for made in ("checkpoints", "bundle"):  # as if it was killed before the end of the first epoch
        shutil.rmtree(second / made)
    opened = open_bundle(source)
    kept = opened.weights.read_bytes()
    save_bundle(source / "bundle", opened.recipe, opened.card, kept[:-4] + b"\0\0\0\0")
    with pytest.raises(RecipeError, match="its weights have changed since this run was started"):
        verbs.train(resume=second)
    assert (second / "recipe.yaml").is_file()
    save_bundle(source / "bundle", opened.recipe, opened.card, kept)
    verbs.train(resume=second)
    assert card_of(second)["init_from"]["digest"]


def test_the_card_says_what_was_copied_from_which_weights(again, first):
    from delineate.bundle import open_bundle

    second = again("trainer.epochs=1")
    assert json.loads((second / "scores.json").read_text())["independent"] is True  # one split
    record = card_of(second)["init_from"]
    assert record["digest"] == open_bundle(first).digest
    assert record["labels"] == ["liver", "spleen", "right_kidney"]
    assert record["model"] == {"unet": {"features": [4, 8]}}
    card = card_of(first)
    assert record["images"]["trained"] == card["audit"]["pixels"]["train"]
    assert record["images"]["chosen"] == card["audit"]["pixels"]["val"]
    assert record["groups"]["trained"] == card["data"]["group_digests"]["train"]
    assert record["overlap"] == {}
    assert record["copied"][0].startswith("model.init_from: 40 of 40 tensors")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.init_from=outputs/nowhere", r"--set model.init_from=.*: no run, bundle or file of weights there."),
        ("model.init_from=3", r"init_from: path is 3; expected"),
        ("model.init_from={a: 1}", r"init_from: path is \{'a': 1\}; expected"),
        ("model.init_from=organs.yaml", r"is no file of weights; expected .safetensors"),
        ("model.init_from=.", r"no run or bundle there, and no folder of runs"),
    ],
)  # fmt: skip
def test_a_wrong_path_is_found_before_anything_is_read(override, said, home, monkeypatch):
    monkeypatch.chdir(home)
    for verb in (verbs.check, verbs.train):
        with pytest.raises(RecipeError, match=said):
            verb("organs.yaml", overrides=[override, "data.phantom.cases=100000"])


def test_another_architecture_is_refused_with_both_named(again, tmp_path):
    with pytest.raises(RecipeError) as raised:
        again("model.unet.features=[6, 12]")
    assert "is of another architecture: 0% of the encoder's weights fit." in str(raised.value)
    assert "There: unet (features: [4, 8]); here: unet (features: [6, 12])" in str(raised.value)
    assert not (tmp_path / "second").exists()


def test_weights_alone_are_read_and_their_images_are_not_known(again, first, tmp_path, capsys):
    file = tmp_path / "weights.pth"
    state = load_file(first / "bundle/weights.safetensors")
    torch.save({name: torch.from_numpy(array) for name, array in state.items()}, file)
    second = again("trainer.epochs=1", source=file)
    said = "heads.0: 4 outputs copied in their order; the file does not name its labels"
    assert said in capsys.readouterr().err
    scores = json.loads((second / "scores.json").read_text())
    assert scores["independent"] is None
    assert "It is not known whether the initial weights" in scores["caveats"][0]


def test_colour_weights_are_adapted_to_grey_and_others_are_refused(
    tiny_recipe, tiny_run, tmp_path, capsys
):
    overrides = [f"model.init_from={tiny_run}", "trainer.epochs=1"]
    grey = "prepare=[{channels: 1}, {resize: {shape: [32, 32]}}, {standardize: image}]"
    run = verbs.train(tiny_recipe, overrides=[*overrides, grey], run=tmp_path / "b")
    assert "down.0.0: adapted from 3 input channels to 1" in capsys.readouterr().err
    overrides = [f"model.init_from={run}"]
    with pytest.raises(RecipeError, match="for images of 1 channels; the images of this recipe"):
        verbs.train(tiny_recipe, overrides=overrides, run=tmp_path / "c")


def test_pretrained_is_not_fetched(tiny_recipe, tmp_path, monkeypatch, capsys):
    import delineate.models.smp as module

    def refuse(*given):
        raise AssertionError("nothing is to be fetched")

    smp = "model={smp: {arch: unet, encoder: resnet18, encoder_depth: 3, decoder_channels: [16, 8, 4]}}"  # fmt: skip
    source = verbs.train(tiny_recipe, overrides=[smp, "trainer.epochs=1"], run=tmp_path / "a")
    monkeypatch.setattr(module, "fetching", refuse)
    pretrained = [smp, "model.smp.pretrained=imagenet", f"model.init_from={source}"]
    pretrained.append("trainer.epochs=1")
    verbs.check(tiny_recipe, overrides=pretrained, out=tmp_path / "audit")
    capsys.readouterr()
    verbs.train(tiny_recipe, overrides=pretrained, run=tmp_path / "b")
    said = capsys.readouterr().err
    assert "pretrained: imagenet is not loaded; init_from replaces it" in said
    plus = [x.replace("arch: unet", "arch: unetplusplus") for x in pretrained]
    verbs.train(tiny_recipe, overrides=plus, run=tmp_path / "c")
    said = capsys.readouterr().err
    assert "decoder: " in said
    assert "the model there is smp (arch: unet," in said


# Leaks between the stages


CHANCE = "audit.allow=[init_from_groups]"
"""The names of the phantom's patients are the same for every seed."""
MOVED = "data.phantom.split={train: 0.2, val: 0.4, test: 0.4}"


def test_cases_that_the_first_stage_learnt_from_are_not_evaluated_on(again, tmp_path, capsys):
    with pytest.raises(ValueError, match=r"init_from_images: \d+ cases of val and test are images"):  # fmt: skip
        again(MOVED)
    assert not (tmp_path / "second").exists()
    second = again(MOVED, "audit.allow=[init_from_images]", "trainer.epochs=1")
    scores = json.loads((second / "scores.json").read_text())
    assert scores["independent"] is False
    assert "The initial weights" in scores["caveats"][0]
    assert "were made from" in scores["caveats"][0]
    assert "init_from_images" in (second / "log.txt").read_text()


def test_a_third_stage_knows_the_first(again, first, home, tmp_path):
    second = again("seed=5", CHANCE, "trainer.epochs=1")
    record = card_of(second)["init_from"]
    with pytest.raises(ValueError, match="init_from_images"):
        again(MOVED, CHANCE, run="third", source=second)
    third = again("seed=9", CHANCE, "trainer.epochs=1", run="third", source=second)
    stages = card_of(third)["init_from"]["stages"]
    assert [stage["digest"] for stage in stages] == [record["digest"]]
    assert len(card_of(third)["init_from"]["images"]["trained"]) > 20


def test_a_mutated_card_is_read_or_refused_in_one_sentence(first, home, tmp_path):
    """Cards of strangers: the entries that say what a model was made from are used for leaks and for caveats."""
    from delineate.bundle import find_source
    from delineate.verbs._audit import saved_audit
    from delineate.verbs._independence import independence_of_split, made_of
    from delineate.verbs._init_from import record_of

    run = Path(shutil.copytree(first, tmp_path / "run"))
    recipe = load_recipe(home / "organs.yaml", [f"model.init_from={run}"])
    audited = saved_audit(run)
    source = find_source(recipe)
    whole = dict(source.bundle.card) | {"init_from": record_of(source, [], audited)}
    whole["init_from"]["stages"] = [{"path": "one", "name": "one", "digest": "0", "weights": "0"}]
    whole["init_from"]["overlap"] = {"init_from_groups": {"test": 1}}
    whole["parts"] = {k: v for k, v in whole["parts"].items() if k != "card.json"}
    random = Random(0)
    read, refused = 0, []
    for _ in range(200):
        card = json.loads(json.dumps(whole))
        here = card
        key = random.choice(["audit", "calibration", "data", "init_from", "scores", "name"])
        while isinstance(here[key], dict | list) and here[key] and random.random() < 0.8:
            here = here[key]
            key = random.choice(list(here) if isinstance(here, dict) else range(len(here)))
        wrong = (None, 7, -1.5, True, "x", [], [1], [[1]], [None], {}, {"train": 1}, {"x": [[]]})
        here[key] = random.choice(wrong)
        (run / "bundle/card.json").write_text(json.dumps(card))
        try:
            source = find_source(recipe)
        except RecipeError as error:
            refused.append(str(error))
            continue
        card = source.bundle.card
        record_of(source, [], audited)
        independence_of_split(card, "test", audited)
        made_of(source.bundle)
        read += 1
    assert min(read, len(refused)) > 20
    assert all("card.json: " in said for said in refused)


def test_images_of_all_stages_made_the_model(again, first):
    """External data and members of an ensemble are compared with these."""
    from delineate.bundle import open_bundle
    from delineate.verbs._independence import made_of

    second = open_bundle(again("seed=5", CHANCE, "trainer.epochs=1"))
    before = made_of(open_bundle(first))
    assert len(before) > 10
    assert made_of(second) > before


def test_groups_are_compared_too(tmp_path, monkeypatch):
    """Another image of a patient whom the first stage saw."""
    from delineate.files import write_image, write_mask

    monkeypatch.chdir(tmp_path)
    (tmp_path / "organs.yaml").write_text(ABDOMEN)
    splits = load_cases(load_recipe("organs.yaml", ["data.phantom.cases=30"]))
    drawn = [case for part in splits.values() for case in part]
    for i, case in enumerate(drawn):  # two images of each of 15 patients
        home = tmp_path / f"data{i % 2 + 1}"
        name = f"p{i // 2}_{i % 2}.nii.gz"
        write_image(case.image, home / "images" / name)
        write_mask(case.truth, home / "masks" / name)
    for stage, split in (
        (1, {"train": 0.8, "val": 0.2}),
        (2, {"train": 0.4, "val": 0.2, "test": 0.4}),
    ):
        data = {"root": f"data{stage}", "images": "images/*", "masks": "masks/*"}
        data |= {"group": r"(p\d+)_", "split": split}
        tree = yaml.safe_load(ABDOMEN) | {"data": {"folder": data}}
        (tmp_path / f"r{stage}.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    verbs.train("r1.yaml", overrides=["trainer.epochs=1"], run=tmp_path / "one")
    with pytest.raises(ValueError, match="init_from_groups: "):
        verbs.train("r2.yaml", overrides=["model.init_from=one"], run=tmp_path / "two")
    overrides = [
        "model.init_from=one",
        "trainer.epochs=1",
        "audit.allow=[init_from_groups, near_duplicates_across_splits]",
    ]
    two = verbs.train("r2.yaml", overrides=overrides, run=tmp_path / "two")
    (caveat, *_) = json.loads((two / "scores.json").read_text())["caveats"]
    assert "other images of the groups of" in caveat


@pytest.mark.parametrize(
    ("named", "leak"), [((False, True), True), ((True, False), True), ((False, False), False)]
)
def test_a_group_that_equals_its_case_is_compared_with_a_group_of_another_name(
    named, leak, tmp_path, monkeypatch, capsys
):
    """One image of each patient in one stage, two in the other; two plain ids need not show the same patient."""
    from delineate.files import write_image, write_mask

    monkeypatch.chdir(tmp_path)
    (tmp_path / "organs.yaml").write_text(ABDOMEN)
    splits = load_cases(load_recipe("organs.yaml", ["data.phantom.cases=32"]))
    drawn = [case for part in splits.values() for case in part]
    for stage, has_group in enumerate(named):
        home = tmp_path / f"data{stage}"
        for i in range(8):
            for again in range(1 + has_group):
                case = drawn[16 * stage + 2 * i + again]
                name = f"c{i}_{again}.nii.gz" if has_group else f"c{i}.nii.gz"
                write_image(case.image, home / "images" / name)
                write_mask(case.truth, home / "masks" / name)
        data = {"root": f"data{stage}", "images": "images/*", "masks": "masks/*"}
        data |= {"split": {"train": 0.5, "val": 0.2, "test": 0.3}}
        data |= {"group": r"(c\d)_"} if has_group else {}
        tree = yaml.safe_load(ABDOMEN) | {"data": {"folder": data}, "seed": stage}
        (tmp_path / f"r{stage}.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    allow = "audit.allow=[near_duplicates_across_splits]"
    verbs.train("r0.yaml", overrides=["trainer.epochs=1", allow], run=tmp_path / "one")
    verbs.check("r1.yaml", overrides=["model.init_from=one", allow], out=tmp_path / "audit")
    found = Audit.from_json(json.loads((tmp_path / "audit/audit.json").read_text()))
    assert any(f.check == "init_from_groups" for f in found.findings) == leak


def test_check_names_a_leak_and_what_is_copied(first, home, tmp_path, capsys):
    words = ["check", str(home / "organs.yaml"), "-o", str(tmp_path / "c")]
    words += ["--set", f"model.init_from={first}"]
    assert main(words) == 0
    assert "weights  model.init_from: 40 of 40 tensors copied" in capsys.readouterr().out
    assert main([*words, "--set", MOVED]) == 2
    found = Audit.from_json(json.loads((tmp_path / "c/audit.json").read_text()))
    assert any(f.check == "init_from_images" for f in found.findings)


def test_a_new_model_on_the_command_line_keeps_init_from(home, tmp_path):
    unet = "{features: [4, 8]}"
    text = ABDOMEN.replace(f"{{unet: {unet}}}", f"{{unet: {unet}, init_from: there}}")
    (tmp_path / "r.yaml").write_text(text)
    for override in (
        "model.smp.arch=unet",
        "model.smp={arch: unet}",
        "model=smp",
        "model={smp: {arch: unet}}",
    ):
        plan = load_recipe(tmp_path / "r.yaml", [override])
        assert (plan.model.name, plan.init_from.args["path"]) == ("smp", "there")
    for overrides in (["model.init_from=here", "model=smp"], ["model=smp", "model.init_from=here"]):
        plan = load_recipe(tmp_path / "r.yaml", overrides)
        assert (plan.model.name, plan.init_from.args["path"]) == ("smp", "here")
    for override in ("model.init_from=null", "model={smp: {arch: unet}, init_from: null}"):
        assert load_recipe(tmp_path / "r.yaml", [override]).init_from is None


def test_an_empty_init_from_is_refused(home):
    """A variable of the shell that is not set must not lead to random weights."""
    for empty in ("", " "):
        with pytest.raises(RecipeError, match="Expected a path; for none, write model.init_from=null"):  # fmt: skip
            load_recipe(home / "organs.yaml", [f"model.init_from={empty}"])
    with pytest.raises(RecipeError, match="init_from: path is ''; expected"):
        load_recipe(home / "organs.yaml", ["model.init_from=''"])
