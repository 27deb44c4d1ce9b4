"""Several models as one: on the command line, in a recipe, in a bundle that holds bundles."""

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from delineate import cases_of, load_bundle, load_cases, load_recipe, read_mask, verbs
from delineate.bundle import open_bundle
from delineate.cli import main
from delineate.core import Output
from delineate.files import write_image
from delineate.inference import wrap_network
from delineate.verbs._audit import audit_cases


@pytest.fixture
def photos(tiny_recipe, tmp_path):
    folder = tmp_path / "photos"
    for case in load_cases(load_recipe(tiny_recipe))["test"][:2]:
        write_image(case.image, folder / f"{case.id}.png")
    return folder


@pytest.fixture
def other(tiny_run, tmp_path, sealed):
    """A bundle of another network and preparation, and of other labels if asked."""

    def made(name="other", factor=0.8, **changes):
        bundle = shutil.copytree(tiny_run / "bundle", tmp_path / name)
        weights = load_file(bundle / "weights.safetensors")
        save_file(
            {k: v * factor if v.ndim > 1 else v for k, v in weights.items()},
            bundle / "weights.safetensors",
        )
        tree = yaml.safe_load((bundle / "recipe.yaml").read_text())
        steps = [{"channels": 3}, {"resize": {"shape": [48, 48]}}, {"standardize": "imagenet"}]
        tree |= {"name": name, "prepare": steps} | changes
        (bundle / "recipe.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
        return sealed(bundle)

    return made


def predicted(bundles, photos):
    """The probabilities of one predictor, for each photograph."""
    predictor = load_bundle(bundles, keep_probabilities=True)
    return [predictor(case).probabilities for case in cases_of([photos])]


def test_several_bundles_on_the_command_line_give_the_mean_of_their_probabilities(
    tiny_run, other, photos, tmp_path
):
    second = other()
    for name, words in {"a": [str(tiny_run)], "b": [str(second)]}.items():
        assert (
            main(["predict", *words, str(photos), "-o", str(tmp_path / name), "--probabilities"])
            == 0
        )
    words = ["predict", str(photos), "--bundle", str(tiny_run), "--bundle", str(second)]
    out = tmp_path / "both"
    assert main([*words, "-o", str(out), "--probabilities"]) == 0
    saved = [sorted((tmp_path / name).glob("*.npz")) for name in ("a", "b", "both")]
    assert len(saved[0]) == 2
    for one, two, both in zip(*saved, strict=True):
        maps = [np.load(path)["probabilities"].astype(np.float64) for path in (one, two, both)]
        assert maps[2] == pytest.approx((maps[0] + maps[1]) / 2, abs=2e-3)
        assert np.abs(maps[0] - maps[1]).max() > 0.01
    assert main([*words, "-o", str(out)]) == 0  # what the same ensemble wrote is replaced
    assert main(["predict", str(tiny_run), str(photos), "-o", str(out)]) == 2


def test_a_bundle_that_holds_bundles_needs_no_other_folder(
    tiny_run, other, photos, tmp_path, capsys
):
    one, two = shutil.copytree(tiny_run / "bundle", tmp_path / "one"), other()
    expected = predicted([one, two], photos)
    assert main(["ensemble", str(one), str(two), "-o", str(tmp_path / "joined")]) == 0
    card = json.loads((tmp_path / "joined" / "card.json").read_text())
    assert "calibration" not in card
    assert "scores" not in card
    (part,) = [name.rpartition("/")[0] for name in card["parts"] if name.startswith("parts/")]
    assert re.fullmatch(r"parts/other-[0-9a-f]{8}", part)
    recipe = yaml.safe_load((tmp_path / "joined" / "recipe.yaml").read_text())
    assert recipe["predict"] == [{"ensemble": {"bundles": [part]}}]
    moved = tmp_path / "elsewhere" / "moved"
    shutil.move(tmp_path / "joined", moved)
    shutil.rmtree(one)
    shutil.rmtree(two)
    found = predicted(moved, photos)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    predictor = load_bundle(moved)
    assert (predictor.labels.names, predictor.temperature) == (("polyp",), 1.0)
    assert predictor.fingerprint is not None
    assert not list(moved.rglob(".*"))


def test_bundles_that_hold_bundles_are_held_too_up_to_a_depth(tiny_run, other, photos, tmp_path):
    pair = verbs.ensemble([tiny_run, other()], tmp_path / "pair")
    three = verbs.ensemble([other("third", 0.6), pair], tmp_path / "three")
    alone = [predicted(b, photos) for b in (tmp_path / "third", pair)]
    for found, *each in zip(predicted(three, photos), *alone, strict=True):
        assert found == pytest.approx(np.mean(each, axis=0), abs=1e-6)
    with pytest.raises(ValueError, match="its bundles are nested 3 deep"):
        verbs.ensemble([tiny_run, three], tmp_path / "four")
    assert not (tmp_path / "four" / "card.json").exists()


def test_wrappers_of_the_command_line_reach_every_member(tiny_run, other, photos):
    both = load_bundle([tiny_run, other()], flips=(0, 1), keep_probabilities=True)
    each = [
        load_bundle(path, flips=(0, 1), keep_probabilities=True)
        for path in (tiny_run, photos.parent / "other")
    ]
    for case in cases_of([photos]):
        expected = np.mean([p(case).probabilities for p in each], axis=0)
        assert both(case).probabilities == pytest.approx(expected, abs=1e-6)


def test_a_recipe_with_members_trains_evaluates_and_goes_on(
    tiny_recipe, tiny_run, other, photos, tmp_path, capsys
):
    member = other()
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        tiny_recipe.read_text() + "predict: [{flips: [1]}, {ensemble: {bundles: [other]}}]\n"
    )
    run = tmp_path / "run"
    words = ["--set", "trainer.epochs=1"]
    assert main(["train", str(recipe), *words, "-o", str(run)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "WARNING: these cases are not independent" not in said
    written = yaml.safe_load((run / "bundle" / "recipe.yaml").read_text())["predict"]
    (part,) = written[1]["ensemble"]["bundles"]
    assert (run / "bundle" / part / "weights.safetensors").is_file()
    assert main(["train", "--resume", str(run)]) == 0
    expected = predicted(run, photos)
    shutil.rmtree(member)
    found = predicted(shutil.move(run, tmp_path / "moved"), photos)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_scores_say_which_cases_a_member_was_made_from(tiny_run, other, sealed, tmp_path):
    """A fold that learnt from what another fold is tested on makes an ensemble look better than it is."""
    card = json.loads((tiny_run / "bundle" / "card.json").read_text())
    pixels = card["audit"]["pixels"]
    member = other()
    mixed = card | {"audit": card["audit"] | {"pixels": pixels | {"train": pixels["test"][:2]}}}
    (member / "card.json").write_text(json.dumps(mixed))
    sealed(member)
    run = shutil.copytree(tiny_run, tmp_path / "run")
    shutil.rmtree(run / "bundle")
    verbs.ensemble([tiny_run, member], run / "bundle")
    table = verbs.evaluate(run, metrics=["dice"])
    assert table.independent is False
    assert re.match(
        r"The member parts/other-\w+ was made from 2 of these 3 images", table.caveats[0]
    )


@pytest.fixture
def centre(tiny_recipe, tmp_path):
    """Four cases of another centre: photographs and masks, in two folders."""
    home = tmp_path / "centre-b"
    (home / "masks").mkdir(parents=True)
    recipe = load_recipe(tiny_recipe, ["seed=7"])
    for i, case in enumerate(load_cases(recipe)["train"][:4]):
        write_image(case.image, home / "images" / f"b{i}.png")
        cv2.imwrite(str(home / "masks" / f"b{i}.png"), case.truth.classes.astype(np.uint8))
    return ["--images", f"{home}/images", "--masks", f"{home}/masks", "--metrics", "dice"]


def bytes_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_ensemble_is_judged_on_other_data(joined, centre, tmp_path, capsys):
    bundle, part = joined
    before = bytes_of(bundle)
    out = tmp_path / "out"
    assert main(["evaluate", str(bundle), *centre, "-o", str(out)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "external: centre-b: 4 cases" in said
    assert "WARNING: these cases are not known to be independent" in said
    assert bytes_of(bundle) == before
    scores = json.loads((out / "scores.json").read_text())
    assert scores["independent"] is None
    first, member = scores["caveats"]
    assert "a bundle was given, not the folder of its run" in first
    assert (
        f"the member parts/{part.name} are not available: the audit searched for exact copies"
        in member
    )
    page = (out / "report.html").read_text()
    assert f"training data of parts/{part.name}" in page
    predictor = load_bundle(bundle)
    for case in cases_of([tmp_path / "centre-b" / "images"]):
        written = read_mask(out / "predictions" / f"{case.id}.png").pixels[0]
        assert np.array_equal(written, predictor(case).classes)
    assert main(["evaluate", str(bundle), *centre, "-o", str(out)]) == 0  # its own folder again


def test_images_that_a_member_learnt_from_are_refused_unless_allowed(
    tiny_run, other, centre, sealed, tmp_path, capsys
):
    cases = cases_of([centre[1]])
    digests = audit_cases({"b": cases}, load_bundle(tiny_run).labels).pixels["b"]
    inner = other("inner", 0.5)
    card = json.loads((inner / "card.json").read_text())
    card["audit"]["pixels"]["val"] = [digests[1], digests[3]]
    (inner / "card.json").write_text(json.dumps(card))
    pair = verbs.ensemble([other(), sealed(inner)], tmp_path / "pair")
    three = verbs.ensemble([tiny_run, pair], tmp_path / "three")
    words = ["evaluate", str(three), *centre, "-o", str(tmp_path / "out")]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert re.search(
        r"duplicates_across_splits: 2 images in the training data of the member parts/\S+/parts/inner-\w+ and in "
        r"centre-b",
        said,
    )
    assert "--allow duplicates_across_splits" in said
    assert not (tmp_path / "out").exists()
    assert main([*words, "--allow", "duplicates_across_splits"]) == 0
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["independent"] is False
    assert "of the member parts/" in scores["caveats"][0]


def test_a_bundle_whose_card_says_little_is_judged(tiny_run, centre, tmp_path):
    bundle = shutil.copytree(tiny_run / "bundle", tmp_path / "plain")
    card = json.loads((bundle / "card.json").read_text())
    few = {key: card[key] for key in ("format", "channels", "ndim", "parts")}
    (bundle / "card.json").write_text(json.dumps(few))
    verbs.rehash(bundle)
    assert main(["evaluate", str(bundle), *centre, "-o", str(tmp_path / "out")]) == 0
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert "the audit did not search for overlap with them" in scores["caveats"][0]


@pytest.mark.parametrize("words", [[], ["{centre}"], ["{centre}", "-o", "{bundle}/judged"]])
def test_a_bundle_is_judged_on_other_data_and_elsewhere_alone(joined, centre, words, capsys):
    bundle, _ = joined
    before = bytes_of(bundle)
    given = []
    for word in words:
        given += centre if word == "{centre}" else [word.format(bundle=bundle)]
    assert main(["evaluate", str(bundle), *given]) == 2
    said = capsys.readouterr().err
    assert "is a bundle. It has no data of its own, and nothing is written into it" in said
    assert bytes_of(bundle) == before


def test_the_blocks_of_the_page_on_ensembles_run(tiny_recipe, tmp_path):
    page = (Path(__file__).parents[2] / "docs/how-to/ensembles.md").read_text()
    lists = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(lists) == 2
    for block in lists:
        (tmp_path / "r.yaml").write_text(tiny_recipe.read_text() + block)
        calls = load_recipe(tmp_path / "r.yaml").predict
        pixels = np.ones((1, 1, 64, 64), np.float32)
        assert wrap_network(calls, Output)(pixels).logits == pytest.approx(pixels)
    own: dict[str, object] = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[-1], own)
    assert (own["inverted"](Output)(pixels).logits == -1).all()


# ---- what is refused


@pytest.fixture
def joined(tiny_run, other, tmp_path):
    verbs.ensemble([tiny_run, other()], tmp_path / "joined")
    (part,) = (tmp_path / "joined" / "parts").iterdir()
    return tmp_path / "joined", part


@pytest.mark.parametrize("name", ["recipe.yaml", "labels.json", "weights.safetensors", "card.json"])
def test_a_member_that_was_changed_or_is_gone_is_named(joined, name):
    bundle, part = joined
    said = f"{part.name}/{name}: the SHA-256 of the file differs"
    (part / name).write_bytes((part / name).read_bytes() + b" ")
    with pytest.raises(ValueError, match=said):
        open_bundle(bundle)
    (part / name).unlink()
    with pytest.raises(ValueError, match=rf"{part.name}(/{name})?: .*missing"):
        open_bundle(bundle)
    shutil.rmtree(part)
    with pytest.raises(
        ValueError, match=f"{part.name}/card.json: the file is missing. Copy the whole bundle"
    ):
        open_bundle(bundle)


def test_a_bundle_names_no_bundle_that_it_does_not_hold(joined, tiny_run, sealed, tmp_path):
    bundle, part = joined
    path = bundle / "recipe.yaml"
    for outside in (str(tiny_run), f"parts/../../{tiny_run.name}", "parts/nobody", ".."):
        tree = yaml.safe_load(path.read_text())
        tree["predict"] = [{"ensemble": [outside]}]
        path.write_text(yaml.safe_dump(tree))
        sealed(bundle)
        with pytest.raises(ValueError, match="recipe.yaml:.* has no member .* its members: parts/"):
            load_bundle(bundle)
    card = json.loads((bundle / "card.json").read_text())
    assert "card.json" not in card["parts"]  # `sealed` left it out
    for key in ("parts/../../run/bundle/card.json", "/etc/card.json", "parts/./card.json"):
        changed = card | {"parts": card["parts"] | {key: "0"}}
        (bundle / "card.json").write_text(json.dumps(changed))
        assert list(open_bundle(bundle).members) == [f"parts/{part.name}"]


def test_a_member_that_holds_its_bundle_is_no_endless_descent(joined, sealed):
    bundle, part = joined
    shutil.rmtree(part)
    part.symlink_to(bundle)
    with pytest.raises(ValueError, match="card.json"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": {"stool": {"value": 1, "kind": "thing"}}}, "labels stool: 1, .* has polyp: 1"),
        ({"task": "regions"}, "the task regions .* has semantic"),
    ],
)
def test_members_of_another_problem_are_refused_before_anything_is_written(
    tiny_run, other, photos, tmp_path, changes, said, capsys
):
    second = other(**changes)
    if "labels" in changes:
        labels = json.loads((second / "labels.json").read_text())
        labels[0] |= {"name": "stool", "colour": "#00c2a8"}
        (second / "labels.json").write_text(json.dumps(labels))
        verbs.rehash(second)
    words = {
        "predict": [str(photos), "--bundle", str(tiny_run), "--bundle", str(second)],
        "ensemble": [str(tiny_run), str(second)],
    }
    for verb in words:
        assert main([verb, *words[verb], "-o", str(tmp_path / "out")]) == 2
        assert re.search(said, capsys.readouterr().err)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ensemble", "{run}", "-o", "{out}"], "at least two bundles"),
        (["ensemble", "{run}", "{run}", "-o", "{out}"], "the same bundle was given twice"),
        (["ensemble", "{run}", "{other}", "-o", "{run}"], "is not empty"),
        (["predict", "{run}", "-o", "{out}"], "no image given"),
        (
            ["predict", "{run}", "--bundle", "{other}", "-o", "{out}"],
            "with --bundle all paths are images",
        ),
    ],
)
def test_bad_requests_get_one_line(words, said, tiny_run, other, tmp_path, capsys):
    places = {"run": tiny_run, "other": other(), "out": tmp_path / "out"}
    assert main([word.format(**places) for word in words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_that_counts_twice_is_named(tiny_run, other, joined, tmp_path, capsys):
    again = tmp_path / "again"
    assert main(["ensemble", str(joined[0]), str(tiny_run), "-o", str(again)]) == 0
    assert "averages the same weights 2 times" in capsys.readouterr().err
    assert main(["ensemble", str(tiny_run), str(other("unlike")), "-o", str(tmp_path / "two")]) == 0
    assert "averages the same weights" not in capsys.readouterr().err
