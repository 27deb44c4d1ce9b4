"""Masks of another tool, judged and compared from the command line."""

import json
import re

import cv2
import numpy as np
import pytest

from delineate.cli import main
from delineate.core import Case, Geometry, Image, Label, LabelSet, Segmentation
from delineate.metrics import load_metrics
from delineate.resolve import Call
from delineate.verbs._evaluation import evaluate_cases

SITES = ["north"] * 6 + ["south"] * 6
FACTS = "id,group,site\n" + "".join(f"case{i},p{i // 2},{s}\n" for i, s in enumerate(SITES))


def disc(centre, radius):
    rows, columns = np.ogrid[:48, :64]
    return np.uint8((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2)


@pytest.fixture
def folders(tmp_path):
    """True masks, images, and what two tools found, one of them better; the second adds to the names."""
    rng = np.random.default_rng(0)
    for part in ("truth", "images", "good", "poor"):
        (tmp_path / part).mkdir()
    for i in range(12):
        centre, radius = rng.integers(16, 32, 2), rng.integers(6, 12)
        truth = disc(centre, radius)
        cv2.imwrite(str(tmp_path / "truth" / f"case{i}.png"), truth)
        cv2.imwrite(str(tmp_path / "images" / f"case{i}.jpg"), truth * 90 + 60)
        cv2.imwrite(
            str(tmp_path / "good" / f"case{i}.png"), disc((centre[0], centre[1] + 1), radius)
        )
        cv2.imwrite(
            str(tmp_path / "poor" / f"case{i}_seg.png"),
            9 * disc((centre[0], centre[1] + 5), radius),
        )
    (tmp_path / "labels.yaml").write_text("labels: {polyp: {value: 1, kind: thing}}\n")
    (tmp_path / "theirs.yaml").write_text(
        "labels: {polyp: {value: 1, kind: thing}}\npredictions: {polyp: 9}\nmetrics: [dice, {nsd: {tolerance: 1.0}}]\n"
    )
    (tmp_path / "facts.csv").write_text(FACTS)
    return tmp_path


def judged(home, prediction, labels, *more):
    return main(
        ["evaluate", "--truth", f"{home}/truth", "--predictions", f"{home}/{prediction}",
         "--labels", f"{home}/{labels}", "--table", f"{home}/facts.csv", "-o", f"{home}/out-{prediction}", *more]
    )  # fmt: skip


def test_two_tools_are_judged_and_compared(folders, capsys):
    assert judged(folders, "good", "labels.yaml", "--images", f"{folders}/images") == 0
    assert judged(folders, "poor", "theirs.yaml", "--prediction-pattern", "{stem}_seg.png") == 0
    printed = capsys.readouterr().out
    assert "12 cases of 6 groups" in printed
    assert printed.count("With 6 groups an interval is uncertain.") == 2
    scores = {
        name: json.loads((folders / f"out-{name}" / "scores.json").read_text())
        for name in ("good", "poor")
    }
    means = {n: s["labels"]["polyp"]["metrics"]["dice"]["mean"] for n, s in scores.items()}
    assert means["good"] > 0.9 > means["poor"] > 0.5
    assert set(scores["good"]["subgroups"]["site"]) == {"north", "south"}
    assert (folders / "out-good" / "overlays" / "case0.jpg").exists()
    page = (folders / "out-poor" / "report.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "")

    out = folders / "comparison"
    words = [f"{folders}/out-poor", f"{folders}/out-good", "-o", str(out)]
    assert main(["compare", *words, "--metrics", "dice,iou"]) == 0
    assert "dice" in capsys.readouterr().out
    assert {p.name for p in out.iterdir()} >= {"report.html", "comparison.csv", "comparison.json"}


def test_what_cannot_be_judged_is_said_in_one_line(folders, capsys):
    (folders / "good" / "case3.png").unlink()
    assert judged(folders, "good", "labels.yaml") == 2
    assert "1 of 12 cases have no mask there: case3" in capsys.readouterr().err
    assert not (folders / "out-good").exists()
    assert judged(folders, "poor", "labels.yaml", "--prediction-pattern", "{stem}_seg.png") == 2
    assert "values without a label: 9" in capsys.readouterr().err
    assert judged(folders, "poor", "labels.yaml", "--metrics", "auroc") == 2
    assert main(["evaluate"]) == 2
    assert "--truth, --predictions, --labels is missing" in capsys.readouterr().err
    assert main(["evaluate", "a-run", "--predictions", "masks"]) == 2
    assert "--predictions is for masks without a run" in capsys.readouterr().err


def test_errors_that_a_mean_leaves_out_are_counted_beside_it(folders, capsys):
    cv2.imwrite(str(folders / "truth" / "case0.png"), np.zeros((48, 64), np.uint8))
    cv2.imwrite(str(folders / "good" / "case1.png"), np.zeros((48, 64), np.uint8))
    named = ["--metrics", "dice,recall,precision,volume_error"]
    assert judged(folders, "good", "labels.yaml", *named) == 0
    printed = capsys.readouterr().out
    lines = {line.split()[1]: line for line in printed.splitlines() if line.startswith("  polyp")}
    hidden = "11 of 12; left out: 1 empty truth with a prediction"
    assert lines["recall"].endswith(hidden)
    assert lines["volume_error"].endswith(hidden)
    assert lines["precision"].endswith("11 of 12; left out: 1 truth with an empty prediction")
    assert "left out" not in lines["dice"]
    assert (
        "Empty masks (only truth / only prediction / both empty; – is left out of the mean): dice 0/0/–; recall "
        "–/0/–; precision 0/–/–; volume_error –/-1/–." in " ".join(printed.split())
    )
    scores = json.loads((folders / "out-good" / "scores.json").read_text())
    metrics = scores["labels"]["polyp"]["metrics"]
    assert metrics["recall"]["left_out"] == {"cases": 1, "only_prediction": 1, "only_truth": 0}
    assert scores["metrics"]["volume_error"]["empty"]["prediction"] == -1
    page = (folders / "out-good" / "report.html").read_text()
    assert "left out: 1 empty truth with a prediction" in page
    assert "Only the prediction empty" in page


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ("values: 5", r"values is 5; expected name: "),
        ("values: {pollyp: 255}", "values names 'pollyp', which is not a label"),
        ("predictions: {polyp: 1.5}", r"predictions is {'polyp': 1.5}; expected name: "),
        ("tolerance: big", "tolerance is 'big'; expected a number of 0 or more, or one of 'jpeg'"),
        ("tolerance: -2", "tolerance is -2; expected a number of 0 or more"),
        ("metrics: [dise]", "did you mean 'dice'"),
        ("metrics: [{nsd: {tolerance: -2}}]", "tolerance is -2; expected a number of 0 or more"),
        ("metrics: [[]]", r"a metric is \[\]; expected a name"),
        ("metric: dice", "did you mean 'metrics'"),
    ],
)
def test_what_is_said_beside_labels_is_checked_like_a_recipe(beside, said, folders, capsys):
    path = folders / "beside.yaml"
    path.write_text(f"labels: {{polyp: {{value: 1, kind: thing}}}}\n{beside}\n")
    assert judged(folders, "good", "beside.yaml") == 2
    err = capsys.readouterr().err
    assert re.search(f"beside.yaml(:2)?: .*{said}", err), err
    assert not (folders / "out-good").exists()


@pytest.mark.parametrize("beside", ["metrics:", "metrics: dice", "values:\npredictions:"])
def test_a_section_that_is_empty_or_one_name_is_read_as_such(beside, folders):
    (folders / "beside.yaml").write_text(
        f"labels: {{polyp: {{value: 1, kind: thing}}}}\n{beside}\n"
    )
    assert judged(folders, "good", "beside.yaml") == 0


def test_runs_on_other_cases_are_not_compared(folders, capsys):
    assert judged(folders, "good", "labels.yaml") == 0
    (folders / "truth" / "case3.png").unlink()
    (folders / "poor" / "case3_seg.png").unlink()
    assert judged(folders, "poor", "theirs.yaml", "--prediction-pattern", "{stem}_seg.png") == 0
    words = ["compare", f"{folders}/out-poor", f"{folders}/out-good", "-o", f"{folders}/c"]
    capsys.readouterr()
    assert main(words) == 2
    assert "case3" in capsys.readouterr().err
    assert not (folders / "c").exists()
    assert main([*words, "--common"]) == 0


def names_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_nobody_elses_files_are_touched(folders, capsys):
    before = names_in(folders)
    given = {"--truth": "truth", "--predictions": "good", "--labels": "labels.yaml"}
    masks = [word for name, path in given.items() for word in (name, f"{folders}/{path}")]
    for out in ("good", "truth", ".", "labels.yaml"):
        assert main(["evaluate", *masks, "-o", f"{folders}/{out}"]) == 2
    assert "is a file" in capsys.readouterr().err
    assert names_in(folders) == before
    assert judged(folders, "good", "labels.yaml") == 0
    assert judged(folders, "good", "labels.yaml") == 0  # its own folder may be written again
    kept = names_in(folders / "out-good")
    (folders / "out-good" / "notes.txt").write_text("mine")
    assert judged(folders, "good", "labels.yaml") == 2
    assert "holds notes.txt" in capsys.readouterr().err
    assert names_in(folders / "out-good") == sorted([*kept, "notes.txt"])


def test_what_fails_half_way_leaves_what_was_there(folders, capsys):
    assert judged(folders, "good", "labels.yaml") == 0
    before = {p: p.read_bytes() for p in (folders / "out-good").rglob("*") if p.is_file()}
    cv2.imwrite(str(folders / "good" / "case9.png"), np.full((48, 64), 7, np.uint8))
    assert judged(folders, "good", "labels.yaml") == 2
    assert "case9.png: values without a label: 7" in capsys.readouterr().err
    assert before == {p: p.read_bytes() for p in (folders / "out-good").rglob("*") if p.is_file()}


def test_folders_of_one_name_are_told_apart(folders):
    for place in ("a", "b"):
        (folders / place).mkdir()
        assert judged(folders, "good", "labels.yaml") == 0
        (folders / "out-good").rename(folders / place / "eval")
    assert judged(folders, "poor", "theirs.yaml", "--prediction-pattern", "{stem}_seg.png") == 0
    three = [f"{folders}/a/eval", f"{folders}/b/eval", f"{folders}/out-poor"]
    assert main(["compare", *three, "-o", f"{folders}/c", "--metrics", "dice"]) == 0
    found = json.loads((folders / "c" / "comparison.json").read_text())
    assert found["names"] == ["a/eval", "b/eval", "out-poor"]
    assert main(["compare", *three[:1], *three[:1]]) == 2


def test_labels_of_a_recipe_and_of_nnunet_say_what_they_say(folders, tiny_recipe):
    import yaml

    tree = yaml.safe_load(tiny_recipe.read_text())
    tree["data"] = {"folder": {"root": ".", "values": {"polyp": 9}}}
    tree["metrics"] = ["iou", "cldice"]
    (folders / "recipe.yaml").write_text(yaml.safe_dump(tree))
    for mask in (folders / "truth").iterdir():
        name = f"{mask.stem}_seg.png"
        cv2.imwrite(str(mask), cv2.imread(str(folders / "poor" / name), cv2.IMREAD_GRAYSCALE))
    assert judged(folders, "poor", "recipe.yaml", "--prediction-pattern", "{stem}_seg.png") == 0
    scores = json.loads((folders / "out-poor" / "scores.json").read_text())
    assert list(scores["labels"]["polyp"]["metrics"])[:2] == ["iou", "cldice"]
    assert scores["labels"]["polyp"]["metrics"]["iou"]["mean"] == 1

    (folders / "dataset.json").write_text('{"labels": {"background": 0, "polyp": 9, "ignore": 2}}')
    assert judged(folders, "poor", "dataset.json", "--prediction-pattern", "{stem}_seg.png") == 0


def test_regions_of_nnunet_are_judged_as_nnunet_does(tmp_path):
    """Written out after evaluate_predictions.py: a mask of the values of each region, its counts, the mean of all."""
    regions = {"whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": 3}
    labels = {"background": 0, **regions, "ignore": 4}
    said = {"labels": labels, "regions_class_order": [1, 2, 3], "file_ending": ".png"}
    (tmp_path / "dataset.json").write_text(json.dumps(said))
    rng = np.random.default_rng(0)
    expected = {name: [] for name in regions}
    for part in ("labelsTs", "predicted"):
        (tmp_path / part).mkdir()
    for i in range(5):
        centre = rng.integers(14, 34, 2)
        truth, prediction = (
            sum(disc((centre[0], centre[1] + s), radius) for radius in (12, 8, 5 * (i > 0)))
            for s in (0, 3)
        )
        truth[:3] = 4
        cv2.imwrite(str(tmp_path / "labelsTs" / f"case{i}.png"), truth)
        cv2.imwrite(str(tmp_path / "predicted" / f"case{i}.png"), prediction)
        for name, values in regions.items():
            there, here = (np.isin(m, values) & (truth != 4) for m in (truth, prediction))
            tp, fp, fn = (there & here).sum(), (here & ~there).sum(), (there & ~here).sum()
            expected[name].append(2 * tp / (2 * tp + fp + fn) if tp + fp + fn else np.nan)
    folders = ["--truth", f"{tmp_path}/labelsTs", "--predictions", f"{tmp_path}/predicted"]
    known = ["--labels", f"{tmp_path}/dataset.json", "-o", f"{tmp_path}/out"]
    assert main(["evaluate", *folders, *known]) == 0
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())["labels"]
    for name, of in expected.items():
        assert scores[name]["metrics"]["dice"]["mean"] == pytest.approx(np.nanmean(of))
    assert expected["whole tumor"] != expected["tumor core"]


def test_answers_close_items_of_the_checklist(folders, capsys):
    (folders / "answers.yaml").write_text("CLAIM 14: Two readers drew every polyp twice.\n")
    assert judged(folders, "good", "labels.yaml", "--answers", f"{folders}/answers.yaml") == 0
    page = (folders / "out-good" / "report.html").read_text()
    assert "Two readers drew every polyp twice." in page
    (folders / "answers.yaml").write_text("CLAIM 99: Nothing.\n")
    assert judged(folders, "good", "labels.yaml", "--answers", f"{folders}/answers.yaml") == 2
    assert "CLAIM 99" in capsys.readouterr().err


def test_no_case_is_written_over_another(tmp_path):
    grid = Geometry.in_pixels((16, 16))
    truth = Segmentation(np.ones((16, 16), np.uint8), LabelSet((Label("polyp", 1),)), grid)
    image = Image(np.zeros((1, 16, 16), np.uint8), grid)
    case = Case("A", "p", lambda: image, lambda: truth)
    (tmp_path / "overlays").mkdir()
    (tmp_path / "overlays/A.jpg").write_bytes(b"of the case a, where upper and lower case are one")
    with pytest.raises(ValueError, match="A: another case has an id with the same file name"):
        evaluate_cases(
            lambda case: truth, [case], load_metrics([Call("dice")]), tmp_path, split="test", predictions=True,
        )  # fmt: skip
    assert not (tmp_path / "predictions").exists()
