"""Changes that the user made to a bundle by hand are accepted with one command, and nothing else is."""

import json

import pytest

from delineate import verbs
from delineate.bundle import open_bundle, rehash_bundle, save_bundle
from delineate.cli import main
from delineate.recipe import load_recipe

RECIPE = """\
data: {phantom: {cases: 4}}
labels: {polyp: 1}
model: unet
loss: dice
"""


@pytest.fixture
def bundle(tmp_path):
    """A bundle that holds another one."""
    card = {"channels": 3, "ndim": 2, "scores": {"test": {}}}
    (tmp_path / "r.yaml").write_text(RECIPE)
    save_bundle(tmp_path / "inner", load_recipe(tmp_path / "r.yaml"), card, b"inner")
    (tmp_path / "e.yaml").write_text(RECIPE + "predict: [{ensemble: [inner]}]\n")
    save_bundle(tmp_path / "outer", load_recipe(tmp_path / "e.yaml"), card, b"outer")
    return tmp_path / "outer"


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_was_not_changed_stays(bundle):
    before = content(bundle)
    assert verbs.rehash(bundle).changed == ()
    assert content(bundle) == before


def test_every_changed_file_is_named_also_of_a_member_and_the_card_keeps_a_record(bundle, capsys):
    ((at, member),) = open_bundle(bundle).members.items()
    edit(bundle / "recipe.yaml", "dice", "bce")
    edit(member.folder / "recipe.yaml", "dice", "bce")
    edit(member.folder / "card.json", '"channels": 3', '"channels": 1')
    (bundle / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(ValueError, match="SHA-256"):
        open_bundle(bundle)
    files = ["recipe.yaml", "weights.safetensors", f"{at}/recipe.yaml", f"{at}/card.json"]
    assert main(["rehash", str(bundle)]) == 0
    *changed, summary, stale = capsys.readouterr().out.splitlines()
    assert changed == [f"changed: {name}" for name in files]
    assert summary.startswith(f"{bundle}: ")
    assert stale == "The card's scores belong to the bundle before this change."
    opened = open_bundle(bundle)
    assert [edit["files"] for edit in opened.card["edited"]] == [files]
    assert opened.members[at].card["channels"] == 1
    assert verbs.rehash(bundle).changed == ()
    edit(bundle / "card.json", "scores", "marks")
    assert verbs.rehash(bundle).changed == ("card.json",)
    assert len(open_bundle(bundle).card["edited"]) == 2


def test_a_member_that_was_rehashed_alone_is_a_change_of_the_bundle(bundle):
    ((at, member),) = open_bundle(bundle).members.items()
    edit(member.folder / "recipe.yaml", "dice", "bce")
    assert verbs.rehash(member.folder).changed == ("recipe.yaml",)
    assert verbs.rehash(bundle).changed == (f"{at}/card.json",)


def test_a_bundle_of_format_1_gets_hashes(bundle, capsys):
    path = bundle / "card.json"
    card = json.loads(path.read_text())
    member = card["parts"].popitem()
    while not member[0].startswith("parts/"):
        member = card["parts"].popitem()
    path.write_text(json.dumps(card | {"format": 1, "parts": dict([member])}))
    assert verbs.rehash(bundle).changed == ()
    opened = open_bundle(bundle)
    assert opened.card["format"] == 2
    assert "edited" not in opened.card
    assert len(opened.card["parts"]) == 5
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "now", "said"),
    [
        ("recipe.yaml", b"model: [", "recipe.yaml"),
        ("recipe.yaml", RECIPE.replace("polyp", "stool").encode(), "labels.json: the labels here"),
        ("recipe.yaml", None, "recipe.yaml missing"),
        ("card.json", b'{"format": 2, "channels": 0}', "channels or ndim is missing"),
        ("weights.safetensors", None, "no weights"),
        ("weights.onnx", b"planted", "weights of several engines"),
        ("weights.bin", b"planted", "weights.bin: belongs to no weights"),
        ("parts", None, "no bundle there"),
    ],
)
def test_what_is_refused_otherwise_stays_as_it_is(bundle, name, now, said):
    ((_, member),) = open_bundle(bundle).members.items()
    edit(member.folder / "recipe.yaml", "dice", "bce")
    if name == "parts":
        (bundle / "parts").rename(bundle / "lost")
    elif now is None:
        (bundle / name).unlink()
    else:
        (bundle / name).write_bytes(now)
    before = content(bundle)
    with pytest.raises(ValueError, match=said):
        rehash_bundle(bundle)
    assert content(bundle) == before
