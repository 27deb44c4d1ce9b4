"""A bundle on disk: whole, unchanged, of a known format; or refused with what is wrong."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from delineate.bundle import assemble, open_bundle, save_bundle
from delineate.bundle.load import _changed_by
from delineate.cli import main
from delineate.core import Output
from delineate.recipe import load_recipe
from delineate.resolve import FIRST, RecipeError

RECIPE = """\
data: {phantom: {cases: 4}}
labels: {polyp: {value: 1, kind: thing}, stool: 2}
model: unet
loss: dice
"""
CARD = {"channels": 3, "ndim": 2}


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "r.yaml").write_text(RECIPE)
    return load_recipe(tmp_path / "r.yaml")


@pytest.fixture
def bundle(recipe, tmp_path):
    save_bundle(tmp_path / "bundle", recipe, {**CARD, "epoch": 1}, b"first")
    return tmp_path / "bundle"


def change(path, **entries):
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_what_is_saved_opens(bundle, recipe):
    opened = open_bundle(bundle)
    assert opened.recipe.labels == recipe.labels
    assert (opened.card["epoch"], opened.card["format"]) == (1, 2)
    assert sorted(opened.card["parts"]) == [
        *("card.json", "labels.json", "recipe.yaml", "weights.safetensors")
    ]
    opened.update_card(scores={"test": 1})
    assert open_bundle(bundle).card["scores"] == {"test": 1}


@pytest.mark.parametrize("name", ["recipe.yaml", "labels.json", "weights.safetensors"])
def test_a_part_that_was_changed_or_is_gone_is_named(bundle, name):
    before = (bundle / name).read_bytes()
    (bundle / name).write_bytes(before + b" ")
    with pytest.raises(ValueError, match=f"{name}: the SHA-256 of the file differs"):
        open_bundle(bundle)
    (bundle / name).write_bytes(before[:-1])
    with pytest.raises(ValueError, match=f"{name}: the SHA-256 of the file differs"):
        open_bundle(bundle)
    (bundle / name).unlink()
    with pytest.raises(ValueError, match=f"{name}(: the file is )?.*missing"):
        open_bundle(bundle)


def test_a_part_that_was_changed_on_purpose_opens_after_the_command_that_the_message_gives(
    bundle, capsys
):
    text = (bundle / "recipe.yaml").read_text()
    (bundle / "recipe.yaml").write_text(text + "predict: [{flips: [0]}]\n")
    with pytest.raises(ValueError, match="changed it on purpose, run: delineate rehash") as refused:
        open_bundle(bundle)
    assert main(str(refused.value).split()[-2:]) == 0
    assert capsys.readouterr().out.startswith("changed: recipe.yaml\n")
    (flips,) = open_bundle(bundle).recipe.predict
    assert flips.args == {FIRST: [0]}


@pytest.mark.parametrize("trust", [(), ("my_lab",)])
@pytest.mark.parametrize(
    "entries",
    [{"epoch": 2}, {"calibration": {"temperature": 3.0}}, {"parts": {"recipe.yaml": "0"}}],
)
def test_a_card_that_was_changed_is_refused(bundle, entries, trust):
    parts = json.loads((bundle / "card.json").read_text())["parts"]
    change(bundle / "card.json", **entries | {"parts": parts | entries.get("parts", {})})
    with pytest.raises(ValueError, match="json: the SHA-256|recipe.yaml: the SHA-256"):
        open_bundle(bundle, trust)
    change(bundle / "card.json", parts=parts)
    if "parts" in entries:
        assert open_bundle(bundle).card["epoch"] == 1


def test_a_card_may_be_laid_out_anew(bundle):
    card = json.loads((bundle / "card.json").read_text())
    (bundle / "card.json").write_text(
        json.dumps(dict(reversed(card.items())), separators=(",", ":"))
    )
    assert open_bundle(bundle).card == card


def test_a_card_of_before_it_had_a_hash_of_itself_opens(bundle):
    card = json.loads((bundle / "card.json").read_text())
    del card["parts"]["card.json"]
    (bundle / "card.json").write_text(json.dumps(card))
    opened = open_bundle(bundle).update_card(epoch=7)
    assert "card.json" in opened.card["parts"]
    assert open_bundle(bundle).card["epoch"] == 7


def test_both_files_of_an_openvino_model_are_checked_and_copied(recipe, tmp_path):
    files = {"weights.xml": b"<net/>", "weights.bin": b"numbers"}
    saved = save_bundle(tmp_path / "ov", recipe, CARD, files)
    digest = open_bundle(tmp_path / "ov").digest
    assert {*files} < {*saved.card["parts"]}
    (tmp_path / "e.yaml").write_text(RECIPE + "predict: [{ensemble: [ov]}]\n")
    holder = save_bundle(tmp_path / "holder", load_recipe(tmp_path / "e.yaml"), CARD, b"torch")
    (member,) = open_bundle(tmp_path / "holder").members.values()
    assert [file.read_bytes() for file in member.weights_files] == [*files.values()]
    assert member.digest == digest
    for name in files:
        for folder in (tmp_path / "ov", member.folder):
            before = (folder / name).read_bytes()
            (folder / name).write_bytes(b"other")
            with pytest.raises(ValueError, match=f"{name}: the SHA-256"):
                open_bundle(folder if folder.name == "ov" else holder.folder)
            (folder / name).unlink()
            with pytest.raises(ValueError, match=f"{name}: the file is missing"):
                open_bundle(folder if folder.name == "ov" else holder.folder)
            (folder / name).write_bytes(before)
    save_bundle(tmp_path / "ov", recipe, CARD, b"torch")  # of another engine: the old files go
    assert sorted(path.name for path in (tmp_path / "ov").iterdir()) == [
        *("card.json", "labels.json", "recipe.yaml", "weights.safetensors")
    ]


@pytest.mark.parametrize("name", ["weights.onnx", "weights.xml", "weights.bin"])
def test_weights_that_the_card_does_not_know_are_refused(bundle, name):
    """Another engine might take them."""
    (bundle / name).write_bytes(b"planted")
    with pytest.raises(ValueError, match="weights.*(SHA-256|missing)"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"format": 3}, "format of this bundle is 3; this Delineate reads 1 to 2. A newer"),
        ({"format": None}, "format of this bundle is None; this Delineate reads 1 to 2"),
        ({"format": "2"}, "format of this bundle is '2'"),
        ({"format": True}, "format of this bundle is True"),
        ({"format": 0}, "format of this bundle is 0"),
        ({"parts": {}}, "recipe.yaml: the SHA-256 of the file"),
        ({"parts": "all"}, "recipe.yaml: the SHA-256 of the file"),
        ({"parts": {"/etc/passwd": "0"}}, "recipe.yaml: the SHA-256 of the file"),
        ({"channels": "3"}, "channels or ndim is missing"),
        ({"ndim": 0}, "channels or ndim is missing"),
        ({"calibration": "x"}, "calibration is 'x'; expected the result"),
        (
            {"calibration": {"review": {"thresholds": [0.5]}}},
            "calibration is .*; expected the result",
        ),
        (
            {"calibration": {"temperature": "hot"}},
            "calibration.temperature is 'hot'; expected a pos",
        ),
        ({"calibration": {"temperature": 0}}, "calibration.temperature is 0; expected a positive"),
        (
            {"calibration": {"review": {"thresholds": {"polyp": float("nan")}}}},
            "calibration.review.thresholds.polyp is nan; expected a number",
        ),
        ({"calibration": {"split": ["val"]}}, r"calibration.split is \['val'\]; expected text"),
        ({"audit": {"pixels": [1]}}, r"audit.pixels is \[1\]; expected key: value"),
        ({"audit": {"pixels": None}}, "audit.pixels is None; expected key: value"),
        ({"audit": {"pixels": {"val": "ab"}}}, "audit.pixels.val is 'ab'; expected a list"),
        ({"data": []}, r"data is \[\]; expected key: value"),
        ({"data": {"group_digests": 3}}, "data.group_digests is 3; expected key: value"),
        (
            {"init_from": {"images": {"trained": [[1]]}}},
            r"init_from.images.trained\[0\] is \[1\]; expected text",
        ),
        ({"init_from": {"stages": 7}}, "init_from.stages is 7; expected a list"),
        ({"init_from": {"stages": [7]}}, r"init_from.stages\[0\] is 7; expected key: value"),
        (
            {"init_from": {"overlap": {"init_from_groups": {"test": "2"}}}},
            "expected a whole number",
        ),
    ],
)
def test_a_card_that_cannot_be_trusted_is_refused(bundle, entries, said):
    change(bundle / "card.json", **entries)
    with pytest.raises(ValueError, match=said):
        open_bundle(bundle)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            [{"name": "polyp", "value": 2}],
            "here are polyp 2 stuff .*; those of recipe.yaml are polyp 1 thing",
        ),
        ([], "the labels here are ; those of recipe.yaml"),
        (["polyp"], "expected a list of labels"),
        ({"polyp": 1}, "expected a list of labels"),
        (7, "expected a list of labels"),
        ([{"name": "polyp", "value": 1, "colour": 3}], "expected a list of labels"),
    ],
)
def test_labels_that_are_not_the_recipes_are_refused(bundle, written, said):
    (bundle / "labels.json").write_text(json.dumps(written))
    change(bundle / "card.json", format=1)
    with pytest.raises(ValueError, match=f"labels.json: .*{said}"):
        open_bundle(bundle)


def test_a_bundle_of_before_there_were_hashes_opens_with_one_line(bundle, capsys):
    card = json.loads((bundle / "card.json").read_text()) | {"format": 1}
    del card["parts"]
    (bundle / "card.json").write_text(json.dumps(card))
    for _ in range(2):
        assert open_bundle(bundle).card["epoch"] == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{bundle}: this bundle has format 1, which has no hashes")


@pytest.mark.parametrize("times", range(1, 12))
def test_a_kill_at_any_write_leaves_the_old_bundle_or_the_new_one(
    bundle, recipe, tmp_path, monkeypatch, times
):
    """`os.replace` is the moment at which a file is another one."""
    import delineate.files._whole_file as home

    class KilledError(BaseException):
        pass

    left, real = [times], home.os.replace

    def replace(*words):
        left[0] -= 1
        if not left[0]:
            raise KilledError
        real(*words)

    monkeypatch.setattr(home.os, "replace", replace)
    killed = False
    try:
        save_bundle(bundle, recipe, {**CARD, "epoch": 2}, b"second")
    except KilledError:
        killed = True
    monkeypatch.setattr(home.os, "replace", real)
    weights = (bundle / "weights.safetensors").read_bytes()
    assert open_bundle(bundle).card["epoch"] == {b"first": 1, b"second": 2}[weights]
    assert killed or weights == b"second"
    save_bundle(bundle, recipe, {**CARD, "epoch": 3}, b"third")  # as a run that is resumed does
    assert open_bundle(bundle).card["epoch"] == 3
    assert "next" not in json.loads((bundle / "card.json").read_text())


@pytest.mark.parametrize("times", range(1, 16))
def test_a_kill_while_members_are_written_leaves_a_bundle_that_opens_or_none(
    recipe, bundle, tmp_path, monkeypatch, times
):
    import delineate.files._whole_file as home

    class KilledError(BaseException):
        pass

    holder = tmp_path / "holder"
    left, real = [times], home.os.replace

    def replace(*words):
        left[0] -= 1
        if not left[0]:
            raise KilledError
        real(*words)

    (tmp_path / "e.yaml").write_text(RECIPE + "predict: [{ensemble: [bundle]}]\n")
    joined = load_recipe(tmp_path / "e.yaml")
    monkeypatch.setattr(home.os, "replace", replace)
    killed = False
    try:
        save_bundle(holder, joined, {**CARD, "epoch": 1}, b"first")
    except KilledError:
        killed = True
    monkeypatch.setattr(home.os, "replace", real)
    if (holder / "card.json").is_file():
        (name,) = open_bundle(holder).members
        assert not killed
        assert (holder / name / "weights.safetensors").read_bytes() == b"first"
    saved = save_bundle(holder, joined, {**CARD, "epoch": 2}, b"second")
    again = save_bundle(holder, saved.recipe, {**CARD, "epoch": 3}, b"third")
    assert list(open_bundle(holder).members) == list(again.members) == list(saved.members)
    assert not list((holder / "parts").glob(".*"))


def test_members_that_a_bundle_has_no_more_are_removed(recipe, bundle, tmp_path):
    (tmp_path / "e.yaml").write_text(RECIPE + "predict: [{ensemble: {bundles: [bundle]}}]\n")
    save_bundle(tmp_path / "holder", load_recipe(tmp_path / "e.yaml"), CARD, b"first")
    save_bundle(tmp_path / "holder", recipe, CARD, b"second")
    assert not (tmp_path / "holder" / "parts").exists()
    assert open_bundle(tmp_path / "holder").members == {}


def test_a_card_that_is_nested_too_deeply_is_named(bundle):
    (bundle / "card.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"card\.json: not valid JSON \(nested too deeply"):
        open_bundle(bundle)


def test_a_damaged_card_is_replaced_by_the_next_weights(bundle, recipe):
    (bundle / "card.json").write_text("{")
    save_bundle(bundle, recipe, {**CARD, "format": 1}, b"second")
    assert open_bundle(bundle).card["format"] == 2


def test_what_was_killed_before_its_first_card_is_no_bundle(bundle):
    (bundle / "card.json").unlink()
    with pytest.raises(ValueError, match="no bundle there .card.json missing"):
        open_bundle(bundle)


def test_a_run_s_folder_stands_for_its_bundle(bundle, tmp_path):
    shutil.move(bundle, tmp_path / "run" / "bundle")
    assert open_bundle(tmp_path / "run").folder == tmp_path / "run" / "bundle"


def test_what_is_no_part_of_a_bundle_is_named_once(bundle, capsys):
    (bundle / ".DS_Store").write_bytes(b"1")
    open_bundle(bundle)
    assert not capsys.readouterr().err
    (bundle / "README.md").write_text("about this model")
    (bundle / "weights.pth").write_bytes(b"2")
    for _ in range(2):
        assert open_bundle(bundle).card["epoch"] == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{bundle}: not part of the bundle and not read: README.md, weights.pth")


KIDNEYS = "labels: {left_kidney: 1, right_kidney: 2}"


PAIRS = [["left_kidney", "right_kidney"]]


@pytest.mark.parametrize(
    ("section", "swap"),
    [
        ("augment: [{flip: {swap: SWAP, swap_axis: 0}}]", {"swap": PAIRS, "swap_axis": 0}),
        ("augment: [{flip: {swap: []}}]", {"swap": []}),
        ("predict: [{flips: {axes: [1], swap: SWAP}}]", {"swap": PAIRS}),
    ],
)
def test_flips_by_option_swap_what_the_recipe_swaps(section, swap, tmp_path):
    text = RECIPE.replace("labels: {polyp: {value: 1, kind: thing}, stool: 2}", KIDNEYS)
    (tmp_path / "r.yaml").write_text(text + section.replace("SWAP", str(PAIRS)) + "\n")
    (call,) = _changed_by(load_recipe(tmp_path / "r.yaml"), None, (0, 1))
    assert call.args == {"axes": [0, 1], **swap}


def test_flips_by_option_are_refused_where_nothing_tells_left_from_right(recipe, tmp_path):
    (call,) = _changed_by(recipe, None, (0, 1))
    assert call.args == {"axes": [0, 1]}
    text = RECIPE.replace("labels: {polyp: {value: 1, kind: thing}, stool: 2}", KIDNEYS)
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError, match="left_kidney and right_kidney.*Leave out --flips"):
        _changed_by(load_recipe(tmp_path / "r.yaml"), None, (0, 1))


def of_slices(folder, slices, augment, predict="[]"):
    lines = RECIPE.replace("labels: {polyp: {value: 1, kind: thing}, stool: 2}", KIDNEYS)
    lines += f"slices: {slices}\naugment: {augment}\npredict: {predict}\n"
    (folder / "r.yaml").write_text(lines.replace("SWAP", str(PAIRS)))
    return load_recipe(folder / "r.yaml")


@pytest.mark.parametrize("swap_axis", [0, 1, -1])
@pytest.mark.parametrize("cut", [0, 1, 2])
def test_flips_by_option_swap_along_the_axis_of_the_volume_that_slices_were_flipped_along(
    cut, swap_axis, tmp_path
):
    flip = f"[{{flip: {{axes: [{swap_axis}], swap: SWAP, swap_axis: {swap_axis}}}}}]"
    recipe = of_slices(tmp_path, f"{{axes: [{cut}]}}", flip)
    across = [axis for axis in range(3) if axis != cut][swap_axis]

    def mirrors(
        pixels,
    ):  # as learnt from such flips: what it sees flipped, it calls the other kidney
        ramp = np.cumsum(pixels, axis=2 + swap_axis % 2)
        back = np.flip(np.cumsum(np.flip(pixels, 2 + swap_axis % 2), 2 + swap_axis % 2), 2 + swap_axis % 2)  # fmt: skip
        return Output(np.concatenate([0 * ramp, ramp, back], axis=1))

    pixels = np.random.default_rng(0).normal(size=(1, 1, 4, 5, 6)).astype(np.float32)
    plain = assemble(recipe, mirrors).network(pixels).logits
    flipped = replace(recipe, predict=_changed_by(recipe, None, (across,)))
    assert np.allclose(assemble(flipped, mirrors).network(pixels).logits, plain, atol=1e-5)


def test_flips_by_option_of_slices_along_several_axes_swap_along_the_one_they_agree_on(tmp_path):
    flip = "[{flip: {axes: [1], swap: SWAP}}]"
    (call,) = _changed_by(of_slices(tmp_path, "{axes: [0, 1]}", flip), None, (2,))
    assert call.args == {"axes": [2], "swap": PAIRS, "swap_axis": 2}
    with pytest.raises(RecipeError, match="axis 1 of the volume in some slices and along axis 2"):
        _changed_by(of_slices(tmp_path, "{axes: [1, 2]}", flip), None, (2,))


@pytest.mark.parametrize(
    ("slices", "predict", "said"),
    [
        ("{axes: [1], neighbours: 1}", "[{flips: {axes: [0, 1], swap: []}}]", "along axis 1 reverse.*axes .0, 2. only"),
        ("{axes: [0, 1, 2], neighbours: 2}", "[{flips: {axes: [2], swap: []}}]", "axis 2 reverse.*Leave out flips"),
        ("{neighbours: 1}", "[{sliding_window: {size: [8, 8, 8]}}]", "lose their neighbours.*Leave out windows"),
        ("{axes: [0]}", "[slicewise]", "slicewise is for models of images with two axes; a recipe with slices"),
        ("{neighbours: 1}", "[{flips: {axes: [1, 2], swap: []}}]", None),
        ("{axes: [0]}", "[{flips: {axes: [0], swap: []}}, {sliding_window: {size: [8, 8, 8]}}]", None),
    ],
)  # fmt: skip
def test_wrappers_that_slices_never_saw_in_training_are_refused(slices, predict, said, tmp_path):
    recipe = of_slices(tmp_path, slices, "[]", predict)
    if said is None:
        assemble(recipe, lambda pixels: Output(pixels))
        return
    with pytest.raises(RecipeError, match=f"r.yaml:7: .*{said}"):
        assemble(recipe, lambda pixels: Output(pixels))


def test_windows_by_option_are_refused_for_slices_with_neighbours(tmp_path):
    recipe = of_slices(tmp_path, "{neighbours: 1}", "[]")
    changed = replace(recipe, predict=_changed_by(recipe, (8, 8, 8), None))
    with pytest.raises(RecipeError, match="^--window: sliding_window cuts the volume"):
        assemble(changed, lambda pixels: Output(pixels))
