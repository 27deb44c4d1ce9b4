"""A bundle, a run and a file of labels are data: nothing that they say is imported, run or written elsewhere."""

import ast
import json
import pickle
import re
import shutil
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

import delineate
from delineate import load_bundle, load_recipe, verbs
from delineate.bundle import open_bundle, pack_bundle
from delineate.cli import main
from delineate.resolve import CATALOGUES, Call, Trust, UntrustedError, build, resolve
from delineate.verbs._run_folder import RunFolder
from delineate.verbs.train import _resume

CANARY = """
from os import system
from pathlib import Path
Path(__file__).with_name("executed").touch()

def ran(*args, **given):
    '''A metric, or whatever it is taken for.'''
    return {"polyp": 1.0}

def polish(segmentation, image):
    return segmentation

def polishing():
    return polish
"""

ATTACKS = {
    "data": {"data": {"canary:ran": {"root": "."}}},
    "tasks": {"task": "canary:ran"},
    "prepare": {"prepare": [{"channels": 3}, {"canary:ran": {"x": 1}}]},
    "augment": {"augment": ["flip", {"canary:ran": None}]},
    "models": {"model": {"canary:ran": {"args": ["touch", "executed"]}}},
    "losses": {"loss": [{"dice": {"weight": 0.5}}, {"canary:ran": {"weight": 2}}]},
    "deep_supervision": {"deep_supervision": "canary:ran"},
    "optimizers": {"optimizer": {"canary:ran": {"lr": 1}}},
    "schedules": {"schedule": "canary:ran"},
    "loggers": {"trainer": {"epochs": 3, "loggers": [{"canary:ran": {}}]}},
    "predict": {"predict": [{"flips": [0]}, {"canary:ran": {"size": 2}}]},
    "refine": {"refine": [{"remove_small_objects": {"min_size": 2}}, "canary:ran"]},
    "metrics": {"metrics": ["dice", {"canary:ran": {"beta": 2}}]},
}
"""For each catalogue, a section of a recipe that names code which is no part of it."""

PREDICTING = ("tasks", "prepare", "models", "predict", "refine")
ASKS = {
    "predict": PREDICTING,
    "calibrate": (*PREDICTING, "data"),
    "evaluate": (*PREDICTING, "data", "metrics"),
    "evaluate a bundle": (*PREDICTING, "metrics"),
    "train": tuple(ATTACKS),
}
"""What each command needs of a run's recipe."""


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """The mark that is there once canary.py was imported; it lies in the current folder, and on Python's path."""
    home = tmp_path / "downloads"
    home.mkdir()
    (home / "canary.py").write_text(CANARY)
    cv2.imwrite(str(home / "photo.png"), np.full((40, 48, 3), 90, np.uint8))
    for folder, values in {"photos": [90, 70], "masks": [0, 1]}.items():
        (home / folder).mkdir()
        for i in range(2):
            picture = np.full((40, 48), values[0], np.uint8)
            picture[4 * i : 9, 5:20] = values[1]
            cv2.imwrite(str(home / folder / f"{i}.png"), picture)
    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "path", [*sys.path, str(home)])
    yield home / "executed"
    sys.modules.pop("canary", None)


def words_of(verb, run, out):
    return {
        "predict": ["predict", str(run / "bundle"), "photo.png", "-o", str(out)],
        "calibrate": ["calibrate", str(run)],
        "evaluate": ["evaluate", str(run)],
        "evaluate a bundle": [
            *("evaluate", str(run / "bundle"), "-o", str(out)),
            *("--images", "photos", "--masks", "masks"),
        ],
        "train": ["train", "--resume", str(run)],
    }[verb]


def test_every_catalogue_is_attacked():
    assert set(ATTACKS) == set(CATALOGUES) - {"formats", "audit"}  # no recipe names these


@pytest.mark.parametrize(
    ("verb", "catalogue"), [(verb, catalogue) for verb in ASKS for catalogue in ASKS[verb]]
)
def test_code_that_a_run_names_is_not_run(verb, catalogue, doctored, canary, tmp_path, capsys):
    run = doctored(**ATTACKS[catalogue])
    before, path = (run / "bundle" / "card.json").read_text(), list(sys.path)
    assert main(words_of(verb, run, tmp_path / "out")) == 2
    assert sys.path == path
    err = capsys.readouterr().err
    said = r"recipe.yaml:\d+: .*'canary:ran' is code of the module canary, .*add --trust canary "
    assert re.search(said, err), err
    assert not canary.exists()
    assert not (tmp_path / "out").exists()
    assert (run / "bundle" / "card.json").read_text() == before


def test_code_that_only_training_needs_hinders_nobody(doctored, canary, tmp_path):
    named = ("augment", "losses", "optimizers", "schedules", "loggers")
    run = doctored(**{k: v for name in named for k, v in ATTACKS[name].items()})
    for verb in ("predict", "calibrate", "evaluate"):
        assert main(words_of(verb, run, tmp_path / "out")) == 0
    assert not canary.exists()


def test_comparing_runs_imports_nothing(doctored, tiny_run, canary, tmp_path, capsys):
    run = doctored(**ATTACKS["data"])
    assert main(["compare", str(run), str(tiny_run), "-o", str(tmp_path / "a")]) == 0
    assert "no pictures: " in capsys.readouterr().err
    for folder in ("b", "c"):  # a column of a table is the name of a metric
        (tmp_path / folder).mkdir()
        table = (tiny_run / "cases.csv").read_text().replace("dice", "canary:ran", 1)
        (tmp_path / folder / "cases.csv").write_text(table)
    words = [str(tmp_path / "b"), str(tmp_path / "c"), "--metrics", "canary:ran"]
    assert main(["compare", *words, "-o", str(tmp_path / "d")]) == 0
    assert not canary.exists()


def test_a_file_of_labels_runs_nothing(tiny_run, canary, tmp_path, capsys):
    labels = tmp_path / "labels.yaml"
    labels.write_text("labels: {polyp: 1}\nmetrics: ['canary:ran']\n")
    masks = str(tiny_run / "predictions")
    shutil.copytree(masks, tmp_path / "truth")
    words = [
        "evaluate",
        "--truth",
        str(tmp_path / "truth"),
        "--predictions",
        masks,
        "--labels",
        str(labels),
    ]
    words += ["-o", str(tmp_path / "out")]
    assert main(words) == 2
    assert re.search("labels.yaml.*'canary:ran'.*--trust canary", capsys.readouterr().err)
    assert not canary.exists()
    assert main([*words, "--trust", "canary"]) == 0
    assert canary.exists()


@pytest.mark.parametrize("name", ["../stolen", "/stolen", "canary:ran", "=cmd|' /C calc'!A0"])
def test_the_names_in_a_submission_are_names_of_cases_only(
    name, tiny_run, canary, tmp_path, capsys
):
    truth = shutil.copytree(tiny_run / "predictions", tmp_path / "deep/truth")
    ids = [path.stem for path in truth.iterdir()]
    rows = [f'"{id}_{i}",' for id in [*ids, name] for i in (0, 1)]
    (tmp_path / "theirs.csv").write_text("\n".join(["Id,Expected", *rows]))
    (tmp_path / "labels.yaml").write_text(
        "labels: {polyp: 1}\npredictions: {polyp: [neoplastic, non_neoplastic]}\n"
    )
    before = sorted(tmp_path.rglob("*"))
    words = ["--truth", str(truth), "--predictions", str(tmp_path / "theirs.csv")]
    words += ["--labels", str(tmp_path / "labels.yaml"), "-o", str(tmp_path / "deep/out")]
    assert main(["evaluate", *words]) == 2
    assert f"2 rows are of no known image: {name}_0" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
    assert not canary.exists()


@pytest.mark.parametrize("catalogue", PREDICTING)
def test_code_that_a_member_names_is_not_run(
    catalogue, doctored, tiny_run, tiny_recipe, canary, tmp_path, capsys
):
    """Nor is it where the user trusts himself: a member of a recipe that he trains is somebody's bundle."""
    bundle = shutil.copytree(doctored(**ATTACKS[catalogue]) / "bundle", tmp_path / "theirs")
    said = r"recipe.yaml:\d+: .*'canary:ran' is code of the module canary, .*add --trust canary "
    out = str(tmp_path / "out")
    ensemble = f"predict=[{{ensemble: ['{bundle}']}}]"
    for words in (
        ["ensemble", str(tiny_run), str(bundle), "-o", out],
        ["predict", "photo.png", "--bundle", str(tiny_run), "--bundle", str(bundle), "-o", out],
        ["train", str(tiny_recipe), "-o", out, "--set", ensemble],
    ):
        assert main(words) == 2
        err = capsys.readouterr().err
        assert re.search(said, err), err
        assert not Path(out).exists()
    assert not canary.exists()


def test_a_part_of_a_bundle_runs_no_code(doctored, tiny_run, sealed, canary, tmp_path, capsys):
    joined = verbs.ensemble([tiny_run, doctored(name="theirs") / "bundle"], tmp_path / "joined")
    (part,) = (joined / "parts").iterdir()
    tree = yaml.safe_load((part / "recipe.yaml").read_text()) | ATTACKS["refine"]
    (part / "recipe.yaml").write_text(yaml.safe_dump(tree))
    sealed(part)
    sealed(joined)
    words = ["predict", str(joined), "photo.png", "-o", str(tmp_path / "out")]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert re.search(rf"{part.name}/recipe.yaml:\d+: .*add --trust canary ", err), err
    assert not canary.exists()
    (part / "recipe.yaml").write_text(yaml.safe_dump(tree | {"refine": ["canary:polishing"]}))
    sealed(part)
    sealed(joined)
    assert main([*words, "--trust", "canary"]) == 0


@pytest.mark.parametrize("catalogue", PREDICTING)
def test_code_that_a_bundle_in_one_file_names_is_not_run(
    catalogue, doctored, tiny_run, canary, tmp_path, capsys
):
    run = doctored(**ATTACKS[catalogue])
    packed, out = tmp_path / "theirs.delineate", str(tmp_path / "out")
    pack_bundle(open_bundle(run), packed)
    said = r"theirs-\w+/recipe.yaml:\d+: .*'canary:ran' is code of the module canary, .*add --trust canary "
    for words in (
        ["predict", str(packed), "photo.png", "-o", out],
        ["evaluate", str(packed), "--images", "photos", "--masks", "masks", "-o", out],
        ["ensemble", str(tiny_run), str(packed), "-o", out],
    ):
        assert main(words) == 2
        err = capsys.readouterr().err
        assert re.search(said, err), err
        assert not Path(out).exists()
    assert not canary.exists()


HOSTILE = {
    "../../up.py": "../../up.py lies outside the bundle",
    "/canary.py": "/canary.py lies outside the bundle",
    "canary.py": "canary.py is no file of a bundle",
    "parts/a/weights.onnx": "is a link or a device",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_zip_is_refused_by_every_command_and_leaves_nothing(
    name, tiny_run, tiny_recipe, canary, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("DELINEATE_CACHE", str(tmp_path / "cache"))
    packed, out = tmp_path / "theirs.delineate", str(tmp_path / "out")
    pack_bundle(open_bundle(tiny_run), packed)
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (0o120777 if "onnx" in name else 0o100644) << 16
    with zipfile.ZipFile(packed, "a") as theirs:
        theirs.writestr(entry, CANARY)
    before = sorted(tmp_path.rglob("*"))
    evaluated = ["--images", "photos", "--masks", "masks", "-o", out]
    for words in (
        ["predict", str(packed), "photo.png", "-o", out],
        ["predict", "photo.png", "--bundle", str(tiny_run), "--bundle", str(packed), "-o", out],
        ["evaluate", str(packed), *evaluated],
        ["ensemble", str(tiny_run), str(packed), "-o", out],
        ["check", str(tiny_recipe), "--set", f"model.init_from={packed}", "-o", out],
        ["check", str(tiny_recipe), "--set", f"predict=[{{ensemble: ['{packed}']}}]", "-o", out],
    ):
        assert main([*words, "--trust", "canary"] if words[0] != "check" else words) == 2
        err = capsys.readouterr().err
        assert HOSTILE[name] in err, err
        assert sorted(tmp_path.rglob("*")) == before
    assert not canary.exists()


@pytest.mark.parametrize("name", ["recipe.yaml", "labels.json", "weights.safetensors", "card.json"])
def test_a_changed_part_is_refused_with_trust_or_without(name, tiny_run, canary, tmp_path, capsys):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    path = run / "bundle" / name
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    words = words_of("predict", run, tmp_path / "out")
    for trust in ([], ["--trust", "canary"]):
        assert main([*words, *trust]) == 2
        assert re.search(f"{name}: ", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_trusted_code_runs_and_no_other(doctored, canary, tmp_path, capsys):
    run = doctored(refine=["canary:polishing", {"remove_small_objects": {"min_size": 2}}])
    words = words_of("predict", run, tmp_path / "out")
    assert main([*words, "--trust", "canaries", "--trust", "canary.polishing"]) == 2
    assert not canary.exists()
    assert main([*words, "--trust", "canary"]) == 0
    load_bundle(run, trust=("canary",))
    with pytest.raises(UntrustedError):
        load_bundle(run)
    capsys.readouterr()
    run = shutil.move(run, tmp_path / "other")
    path = run / "bundle" / "recipe.yaml"
    path.write_text(path.read_text().replace("canary:polishing", "canary:system"))
    with pytest.raises(ValueError, match="the SHA-256 of the file differs"):
        load_bundle(run, trust=("canary",))


@pytest.mark.parametrize("name", ["system", "Path", "__class__", "__getattribute__", "__dir__"])
def test_a_trusted_module_vouches_for_what_it_defines_only(name, canary):
    with pytest.raises(UntrustedError, match=f"'canary:{name}' is code of the module"):
        resolve("refine", Call(f"canary:{name}", trust=Trust(("canary",))))


def test_what_is_installed_goes_before_the_current_folder(canary, tmp_path, monkeypatch):
    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / "shared_name.py").write_text("def step():\n    return 'installed'\n")
    Path("shared_name.py").write_text("open('executed', 'w')\ndef step():\n    return 'here'\n")
    Path("only_here.py").write_text("def step():\n    return 'here'\n")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(Path.cwd())])
    monkeypatch.setattr(sys, "path", [*sys.path, str(installed)])
    trust = Trust(("shared_name", "only_here"))
    assert build("refine", Call("shared_name:step", trust=trust)) == "installed"
    assert str(Path.cwd()) not in sys.path
    assert build("refine", Call("only_here:step", trust=trust)) == "here"
    assert sys.path.index(str(installed)) < sys.path.index(str(Path.cwd()))
    assert not canary.exists()


def test_a_recipe_of_ones_own_asks_only_when_its_run_is_opened_again(
    tiny_recipe, canary, tmp_path, capsys
):
    overrides = ["refine=['canary:polishing']", "trainer.epochs=1", "metrics=[dice, 'canary:ran']"]
    words = [word for override in overrides for word in ("--set", override)]
    run = tmp_path / "run"
    assert main(["train", str(tiny_recipe), "-o", str(run), *words]) == 0
    capsys.readouterr()
    for verb in ASKS:
        words = words_of(verb, run, tmp_path / verb)
        assert main(words) == 2
        assert "--trust canary " in capsys.readouterr().err
        assert main([*words, "--trust", "canary"]) == 0


def test_a_run_that_is_broken_off_says_with_which_words_it_goes_on(tiny_recipe):
    plan = load_recipe(tiny_recipe, ["loss=['b.c:d', {'a:x': {weight: 2}}]", "refine=['a:y']"])
    run, resume = RunFolder(Path("r")), "delineate train --resume r"
    assert _resume(run, plan) == f"{resume} --trust a --trust b.c"
    logger = load_recipe(tiny_recipe, ["trainer.loggers=[{'z:log': {}}]"])
    assert _resume(run, logger) == f"{resume} --trust z"
    assert _resume(run, load_recipe(tiny_recipe)) == resume


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "{run}", "photo.png", "-o", "out", "--trust", "a:b"], "--trust a:b: expected"),
        (["predict", "{run}", "photo.png", "-o", "out", "--trust", "*"], "--trust .: expected"),
        (["train", "{recipe}", "--trust", "canary"], "--trust belongs to --resume"),
    ],
)
def test_words_that_cannot_be_meant(words, said, tiny_run, tiny_recipe, canary, capsys):
    assert main([word.format(run=tiny_run, recipe=tiny_recipe) for word in words]) == 2
    assert re.search(said, capsys.readouterr().err)
    with pytest.raises(ValueError, match=r"expected a sequence of modules: \('canary',\)"):
        load_bundle(tiny_run, trust="canary")


def test_variables_of_the_environment_are_not_read_from_a_bundle(
    doctored, canary, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("A_SECRET", "hunter2")
    run = doctored(model={"unet": {"features": "${A_SECRET}"}})
    words = words_of("predict", run, tmp_path / "out")
    assert main(words) == 2
    err = capsys.readouterr().err
    assert re.search(r"recipe.yaml:\d+: \$\{A_SECRET\} is in a saved recipe", err)
    assert "hunter2" not in err


def test_a_variable_of_the_data_that_is_not_set_does_not_stop_predicting(
    doctored, canary, tmp_path, capsys
):
    run = doctored(data={"folder": {"root": "${NOT_SET_ANYWHERE}/polyps", "images": "*"}})
    assert main(words_of("predict", run, tmp_path / "out")) == 0
    capsys.readouterr()
    assert main(words_of("evaluate", run, tmp_path / "out")) == 2
    said = r"recipe.yaml:\d+: .*NOT_SET_ANYWHERE is not set"
    assert re.search(said, capsys.readouterr().err)


class Payload:
    """What a pickle does when it is loaded."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_pickles_are_not_run(doctored, tiny_run, canary, tmp_path, capsys):
    pickled = tmp_path / "pickled.pth"
    torch.save({"state_dict": Payload(canary)}, pickled)
    run = shutil.copytree(tiny_run, tmp_path / "with-checkpoint")
    shutil.copy(pickled, run / "checkpoints" / "last.ckpt")
    assert main(["train", "--resume", str(run)]) != 0
    weights = run / "bundle" / "weights.safetensors"
    weights.write_bytes(pickle.dumps(Payload(canary)))
    assert main(words_of("predict", run, tmp_path / "out")) == 2
    for option in (
        {"checkpoint_path": str(pickled)},
        {"pretrained": True, "pretrained_cfg_overlay": {"file": str(pickled)}},
        {"pretrained_cfg": {"url": pickled.as_uri()}},
    ):
        model = {"smp": {"arch": "unet", "encoder": "tu-resnet18", "encoder_options": option}}
        shutil.rmtree(tmp_path / "doctored", ignore_errors=True)
        assert main(words_of("predict", doctored(model=model), tmp_path / "out")) == 2
        assert (
            "is not an option of an encoder; set weights with pretrained" in capsys.readouterr().err
        )
    assert not canary.exists()


@pytest.mark.parametrize("catalogue", ATTACKS)
def test_weights_of_a_stranger_to_start_from_run_no_code(
    catalogue, doctored, tiny_recipe, canary, tmp_path
):
    """Its recipe is only read: it may name any code, and none of it is imported."""
    run = doctored(**ATTACKS[catalogue])
    overrides = ["--set", f"model.init_from={run}", "-o", str(tmp_path / "out")]
    main(["check", str(tiny_recipe), *overrides])
    assert not canary.exists()


@pytest.mark.parametrize(
    "start",
    [
        "model.init_from={}",
        "model={{pranet: {{encoder: resnet18, weights: {}}}}}",
        "model={{pranet: {{encoder: resnet18, pretrained: {}}}}}",
        "model={{emcad: {{encoder: pvt_v2_b0, weights: {}}}}}",
        "model={{emcad: {{encoder: pvt_v2_b0, pretrained: {}}}}}",
    ],
)
def test_a_pickle_to_start_from_is_not_run(start, tiny_recipe, canary, tmp_path, capsys):
    pickled = tmp_path / "pickled.pth"
    torch.save({"state_dict": Payload(canary)}, pickled)
    words = ["train", str(tiny_recipe), "-o", str(tmp_path / "out")]
    assert main([*words, "--set", start.format(pickled)]) == 2
    assert "code in a file is never run" in capsys.readouterr().err
    assert not canary.exists()
    assert not (tmp_path / "out").exists()


def test_a_recipe_constructs_no_objects(doctored, canary, tmp_path, capsys):
    run = doctored()
    for path in (run / "recipe.yaml", run / "bundle" / "recipe.yaml"):
        path.write_text(path.read_text() + "seed: !!python/object/apply:canary.ran []\n")
    assert main(words_of("predict", run, tmp_path / "out")) == 2
    assert main(words_of("evaluate", run, tmp_path / "out")) == 2
    assert not canary.exists()


def test_a_stranger_s_card_and_origin_are_read_as_data(doctored, canary, tmp_path):
    run = doctored()
    path = run / "bundle" / "card.json"
    card = json.loads(path.read_text())
    told = {"command": "canary:ran", "commit": "${HOME}", "versions": {"canary:ran": "1"}}
    path.write_text(json.dumps(card | told))
    verbs.rehash(run)
    (run / "origin.json").write_text(json.dumps({"recipe": str(canary.parent), "started": "/"}))
    assert main(words_of("evaluate", run, tmp_path / "out")) == 0
    assert not canary.exists()


def test_a_name_alone_is_trusted_with_nothing(canary):
    for catalogue in CATALOGUES:
        with pytest.raises(UntrustedError):
            resolve(catalogue, "canary:ran")
        with pytest.raises(UntrustedError):
            build(catalogue, Call("canary:ran"))
    assert not canary.exists()


def test_code_is_imported_by_name_in_known_places_only():
    """Whoever adds a place must say here why nothing that a stranger wrote comes there."""
    known = {
        "__init__.py": "names of this package",
        "audit/_identity.py": "SimpleITK and nibabel, when they are needed",
        "core/__init__.py": "names of this package",
        "bundle/load.py": "the engine of a kind of weights, from ENGINES",
        "files/_dicom_header.py": "pydicom, where it is installed",
        "files/_dicom_compressed.py": "pydicom's decoders, when they are needed",
        "files/_dicom_pixels.py": "pydicom's tables of values, when they are needed",
        "files/_pillow.py": "the plugin that a format of this package names",
        "files/_samples.py": "SimpleITK, when it is needed",
        "losses/__init__.py": "names of this package",
        "metrics/__init__.py": "a metric of this package, by the kind of a tally; a table on disk names it",
        "resolve.py": "every name of a recipe, behind its trust",
    }
    home = Path(delineate.__file__).parent
    asked = {"import_module", "__import__", "exec", "eval", "spec_from_file_location", "run_path"}
    found = set()
    for path in home.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                plain_eval = isinstance(node.func, ast.Attribute) and name in ("eval", "exec")
                if name in asked and not plain_eval:  # model.eval() is torch's
                    found.add(path.relative_to(home).as_posix())
    assert found == set(known)


NAMES = ["a\\..\\..\\up.png", "a\x07b.png", "C:up.png", "CON ..png", " .png", "x" * 240 + ".png"]
"""Names that a file may have on Linux, and that are paths or unusable elsewhere."""


def test_converted_files_stay_in_their_folder(tmp_path):
    theirs = tmp_path / "a/theirs"
    for i, name in enumerate(NAMES):
        (theirs / "x..").mkdir(parents=True, exist_ok=True)
        picture = np.full((4, 5), i, np.uint8)
        (theirs / "x.." / name).write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    for to in ("nrrd", "tiff"):
        out = tmp_path / "b/c" / to
        done = delineate.convert(theirs, out, to=to)
        assert not done.failures
        assert len(done.files) == len(NAMES)
        assert all(path.resolve().is_relative_to(out.resolve()) for path in done.files)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3 * len(NAMES)
    with pytest.raises(ValueError, match="no image in"):
        delineate.convert(f"{tmp_path}/[a]/theirs/../theirs/*/a*.png", tmp_path / "d", to="nrrd")
    assert not (tmp_path / "d").exists()
