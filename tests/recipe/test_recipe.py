import textwrap
from pathlib import Path

import pytest

from delineate.metrics import load_metrics
from delineate.recipe import all_calls, load_labels, load_recipe, saved_recipe
from delineate.resolve import FIRST, NOBODY, OWN, RecipeError, Trust

RECIPE = """\
    # a comment
    data: {phantom: {scene: endoscopy}}
    labels: {polyp: {value: 1, kind: thing}}
    prepare: [{resize: {shape: [64, 64]}}, {standardize: imagenet}]
    model: {unet: {features: [8, 16]}}
    loss: [{dice: {weight: 0.5}}, focal]
    trainer: {epochs: 3}
    refine:
      - remove_small_objects: {min_size: 50}
"""


@pytest.fixture
def write(tmp_path):
    def written(text: str = RECIPE) -> Path:
        path = tmp_path / "r.yaml"
        path.write_text(textwrap.dedent(text))
        return path

    return written


def test_sections_are_taken_apart_and_defaults_filled_in(write):
    recipe = load_recipe(write())
    assert recipe.name == "r"
    assert recipe.labels["polyp"].kind == "thing"
    assert [call.name for call in recipe.prepare] == ["resize", "standardize"]
    assert recipe.prepare[1].args == {FIRST: "imagenet"}
    assert recipe.loss[1].args == {}
    assert (recipe.task.name, recipe.optimizer.name, recipe.seed) == ("semantic", "adamw", 0)
    assert recipe.refine[0].where.endswith("r.yaml:9")


def test_a_saved_recipe_loads_the_same(write, tmp_path):
    recipe = load_recipe(write(), ["trainer.epochs=7", "seed=5"])
    recipe.save(tmp_path / "again.yaml")
    again = load_recipe(tmp_path / "again.yaml")
    assert again.tree == {"name": "r", **recipe.tree}
    assert again.name == "r"
    assert (again.seed, again.trainer.args["epochs"]) == (5, 7)


@pytest.mark.parametrize(
    ("override", "section", "args"),
    [
        ("optimizer.adamw.lr=3e-4", "optimizer", {"lr": "3e-4"}),
        ("optimizer.sgd.lr=0.1", "optimizer", {"lr": 0.1}),
        ("model.unet.features=[4, 8]", "model", {"features": [4, 8]}),
        ("task=semantic", "task", {}),
    ],
)
def test_overrides(write, override, section, args):
    assert getattr(load_recipe(write(), [override]), section).args == args


def test_overrides_reach_into_lists_by_name_and_number(write):
    overrides = ["prepare.resize.shape=[32, 32]", "loss.focal.gamma=3", "loss.0.dice.weight=2"]
    recipe = load_recipe(write(), overrides)
    assert recipe.prepare[0].args["shape"] == [32, 32]
    assert recipe.loss[0].args["weight"] == 2
    assert recipe.loss[1].args["gamma"] == 3


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("trainer:", "trainr:", r"r.yaml:7: unknown section 'trainr'; did you mean 'trainer'"),
        ("    model: {unet: {features: [8, 16]}}\n", "", "section 'model' is missing"),
        ("value: 1,", "value: one,", "r.yaml:3: .*value is 'one'; expected a whole number"),
        ("kind: thing", "knd: thing", "r.yaml:3: .*did you mean 'kind'"),
        ("kind: thing", "kind: blob", "r.yaml:3: .*expected one of 'stuff', 'thing', 'ignore'"),
        ("refine:", "loss: focal\n    refine:", "r.yaml:8: 'loss' is written twice"),
        ("{epochs: 3}", "{epochs: 3", "not valid YAML"),
        ("{epochs: 3}", "[3]", r"r.yaml:7: trainer is \[3\]"),
        ("loss: [", "loss: [[1], ", "r.yaml:6: loss is"),
        ("labels: {", "labels: {0: {value: 1}, ", "share the value 1"),
    ],
)
def test_what_cannot_be_read_says_where_and_what_was_expected(write, was, now, said):
    assert was in RECIPE
    with pytest.raises(RecipeError, match=said):
        load_recipe(write(RECIPE.replace(was, now)))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trainer.epochs", "expected section.name.argument=value"),
        ("trainr.epochs=3", "did you mean 'trainer'"),
        ("prepare.resise.shape=3", "'resise' matches 0 of the items resize, standardize"),
        ("trainer.epochs.x=3", "trainer.epochs is 3; expected a mapping or a list"),
    ],
)
def test_overrides_that_fit_nothing(write, override, said):
    with pytest.raises(RecipeError, match=said):
        load_recipe(write(), [override])


@pytest.mark.parametrize(
    ("override", "argument", "section"),
    [
        ("trainer.epochs=5", "epochs", "trainer"),
        ("model.unet.features=[1, 2]", "features", "model"),
        ("optimizer.sgd.lr=1", "lr", "optimizer"),
    ],
)
def test_an_argument_knows_that_it_was_set(write, override, argument, section):
    call = getattr(load_recipe(write(), [override]), section)
    assert call.places[argument] == f"--set {override}"


def test_every_argument_knows_its_own_line(write):
    recipe = load_recipe(
        write(RECIPE.replace("{epochs: 3}", "\n      epochs: 3\n      batch_size: 4"))
    )
    places = {name: where[-2:] for name, where in recipe.trainer.places.items()}
    assert places == {"epochs": ":8", "batch_size": ":9"}
    assert all(call.labels == ("polyp",) for call in (recipe.model, *recipe.refine))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("seed: -1", "r.yaml:10: .*seed is -1; expected a whole number from 0 to 4294967295"),
        ("seed: 4294967296", "r.yaml:10: .*expected a whole number from 0 to 4294967295"),
        ("seed: true", "r.yaml:10: .*seed is True"),
        ("name: []", r"r.yaml:10: .*name is \[\]"),
        ("name: ''", "r.yaml:10: .*name is ''; expected a text that is not empty"),
        ("name: ${NOWHERE}", "r.yaml:10: .*NOWHERE is not set"),
        ("seed: 0x" + "f" * 5000, "r.yaml:10: a whole number that is too large"),
    ],
)
def test_what_stands_outside_of_sections_is_checked_too(write, line, said):
    with pytest.raises(RecipeError, match=said):
        load_recipe(write(f"{RECIPE}    {line}\n"))


def test_variables_of_the_environment(write, monkeypatch):
    path = write(RECIPE.replace("endoscopy", '"${SCENE:-chest}"'))
    assert load_recipe(path).data.args["scene"] == "chest"
    monkeypatch.setenv("SCENE", "abdomen")
    recipe = load_recipe(path)
    assert recipe.data.args["scene"] == "abdomen"
    assert recipe.tree["data"]["phantom"]["scene"] == "${SCENE:-chest}"
    with pytest.raises(RecipeError, match="NOWHERE is not set"):
        load_recipe(write(RECIPE.replace("endoscopy", '"${NOWHERE}"')))


def test_what_is_saved_has_values_where_variables_decide_a_result(write, tmp_path, monkeypatch):
    """Only paths of the data are another machine's business; a result is not to follow the reader's environment."""
    path = write(
        RECIPE.replace("endoscopy", '"${SCENE:-chest}"').replace(
            "epochs: 3", 'device: "${DEVICE:-cpu}"'
        )
    )
    monkeypatch.setenv("DEVICE", "cuda")
    load_recipe(path).save(tmp_path / "saved.yaml")
    monkeypatch.setenv("DEVICE", "mps")
    saved = saved_recipe(tmp_path / "saved.yaml")
    assert saved.trainer.args["device"] == "cuda"
    assert (
        saved.data.args["scene"] == "${SCENE:-chest}"
    )  # not looked at, unless cases are to be loaded
    assert saved_recipe(tmp_path / "saved.yaml", data=True).data.args["scene"] == "chest"
    again = saved_recipe(tmp_path / "saved.yaml", data=True)
    again.save(tmp_path / "again.yaml")
    assert (tmp_path / "again.yaml").read_text() == (tmp_path / "saved.yaml").read_text()
    with pytest.raises(RecipeError, match=r"r.yaml:\d+: \$\{DEVICE:-cpu\} is in a saved recipe"):
        saved_recipe(path)


@pytest.mark.parametrize("old", ["dice_swept", "{dice_swept: {levels: 16}}"])
def test_a_saved_recipe_may_have_former_names_and_a_recipe_may_not(write, old):
    path = write(f"{RECIPE}    metrics: [dice, {old}]\n")
    found = saved_recipe(path).metrics
    assert [call.name for call in found] == ["dice", "dice_sweep_mean"]
    assert next(iter(load_metrics(found))) == "dice"
    assert found[1].where.startswith(str(path))
    with pytest.raises(RecipeError, match="it is called 'dice_sweep_mean'"):
        load_metrics(load_recipe(path).metrics)


def test_calls_are_trusted_as_the_reader_says(write):
    def trusts(recipe):
        sections = (recipe.trainer, recipe.audit)
        return {call.trust for call in (*(call for _, call in all_calls(recipe)), *sections)}

    assert trusts(load_recipe(write())) == {OWN}
    assert trusts(saved_recipe(write())) == {NOBODY}
    assert trusts(saved_recipe(write(), Trust(("my_lab",)))) == {Trust(("my_lab",))}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{flips: [0, 1]}", r"\[{flips: \[0, 1\]}\]"),
        (
            "{window: [16, 16], overlap: 0.25, flips: [0]}",
            r"\[{sliding_window: {size: \[16, 16\], overlap: 0.25}}, {flips: \[0\]}\]",
        ),
        ("{}", r"\[\]"),
    ],
)
def test_settings_of_predict_as_they_were_are_refused_with_the_list_that_says_the_same(
    write, old, new
):
    path = write()
    path.write_text(path.read_text() + f"\npredict: {old}\n")
    said = rf"r.yaml:\d+: .*expected a list of wrappers, from the inside out. Write: predict: {new}"
    with pytest.raises(RecipeError, match=said) as refused:
        load_recipe(path)
    path.write_text(path.read_text().replace(old, str(refused.value).split("Write: predict: ")[1]))
    names = {"flips": "flips", "window": "sliding_window"}
    assert [call.name for call in load_recipe(path).predict] == [
        names[word] for word in names if word in old
    ][::-1]


def test_no_such_file():
    with pytest.raises(RecipeError, match="no such recipe"):
        load_recipe("nowhere.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "labels: {liver: 1, tumour: {value: 2, kind: thing}}\npredictions: {liver: 5}",
        "{liver: 1, tumour: {value: 2, kind: thing}}",
        '{"labels": {"background": 0, "liver": 1, "tumour": 2}, "channel_names": {"0": "CT"}}',
    ],
)
def test_labels_alone_can_be_read(tmp_path, text):
    path = tmp_path / "labels.yaml"
    path.write_text(text)
    labels, rest = load_labels(path)
    assert (labels.names, labels.values) == (("liver", "tumour"), (1, 2))
    assert rest.args in ({"predictions": {"liver": 5}}, {}, {"channel_names": {"0": "CT"}})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "labels:\n  liver: [1, 2]",
            r"labels.yaml:2: label 'liver' is \[1, 2\]; expected a number",
        ),
        ("liver: one", r"labels.yaml:1: label 'liver' is 'one'"),
        ("- liver", "expected sections"),
    ],
)
def test_labels_that_cannot_be_read_say_where(tmp_path, text, said):
    path = tmp_path / "labels.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=said):
        load_labels(path)
