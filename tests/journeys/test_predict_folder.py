"""A folder of images: predicted in threads as one by one, in bounded memory, and resumed after a kill."""

import csv
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from delineate import Case, Geometry, Image, Label, LabelSet, cases_of, read_mask, verbs
from delineate.bundle import open_bundle
from delineate.cli import main
from delineate.core import Output
from delineate.files import sha256
from delineate.inference import CasePredictor, EngineThread, PredictionStopped, in_turn
from delineate.predictions import Outputs, PredictionFolder, predict_case, predict_cases
from delineate.prepare import load_prepare
from delineate.resolve import Call
from delineate.tasks import load_task

LABELS = LabelSet((Label("polyp", 1, "thing"),))
VERB = sys.modules["delineate.verbs.predict"]
FOLDER = sys.modules["delineate.predictions.predict_cases"]


def drawn(number, shape=(40, 50)):
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 255, (5, 6, 3), np.uint8)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def photos(tmp_path):
    """Seven photographs of several sizes, in two folders."""
    folder = tmp_path / "photos"
    for number in range(7):
        path = folder / ("later" if number > 4 else ".") / f"photo{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), drawn(number, (40 + 9 * number, 50)))
    return folder


def bright(pixels):
    """A network that needs no torch: logits that follow the brightness."""
    return Output(3 * pixels.mean(axis=1, keepdims=True))


def predictor_of(network=bright, size=(32, 32)):
    prepare = load_prepare(
        [Call("resize", {"shape": [*size]}), Call("standardize", {"by": "imagenet"})]
    )
    task = load_task(Call("semantic"), LABELS)
    return CasePredictor(prepare, in_turn(network), task, keep_probabilities=True)


def content(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def rows(folder):
    with open(folder / "predictions.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def written(cases, out, *, predictor=None, outputs=None, **given):
    """What `predict_cases` gives for some cases."""
    folder = PredictionFolder(out, "a digest")
    with folder.table():
        return list(predict_cases(predictor or predictor_of(), cases, folder, outputs, **given))


def test_threads_write_the_same_bytes_in_the_same_order_as_one_after_the_other(photos, tmp_path):
    cases = cases_of([photos])
    outputs = Outputs(probabilities=True)
    one = written(cases, tmp_path / "one", outputs=outputs, workers=1)
    many = written(cases, tmp_path / "many", outputs=outputs, workers=5)
    assert [case.id for case, _ in many] == [case.id for case in cases]
    assert [found for _, found in many] == [found for _, found in one]
    assert content(tmp_path / "many") == content(tmp_path / "one")
    folder = PredictionFolder(tmp_path / "alone", "a digest")
    for case in cases:
        with folder.table():
            predict_case(predictor_of(), case, folder, outputs)
        expected = predictor_of()(case)
        kept = np.load(tmp_path / "many" / f"{case.id}.probabilities.npz")["probabilities"]
        np.testing.assert_array_equal(kept, expected.probabilities.astype(np.float16))
        found = read_mask(tmp_path / "many" / f"{case.id}.png").pixels[0]
        np.testing.assert_array_equal(found, expected.classes)
    alone, together = content(tmp_path / "alone"), content(tmp_path / "many")
    assert alone.pop("predictions.jsonl") != together.pop("predictions.jsonl")  # the table grew
    assert alone == together


def test_an_image_that_fails_has_its_place_among_the_others(photos, tmp_path):
    (photos / "photo2.png").write_bytes(b"<html>no image</html>")
    results = written(cases_of([photos]), tmp_path / "out", workers=3)
    failed = [case.id for case, found in results if isinstance(found, Exception)]
    assert failed == ["photo2"]
    assert [row["mask"] for row in rows(tmp_path / "out")] == [
        found.files["mask"] for _, found in results if not isinstance(found, Exception)
    ]


def test_a_full_disk_ends_the_run_with_the_images_before_it_in_place(photos, tmp_path, monkeypatch):
    module = sys.modules["delineate.predictions.predict_case"]
    whole = module.write_mask

    def full(prediction, part, like):
        if like.name == "photo3.png":
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(prediction, part, like=like)

    monkeypatch.setattr(module, "write_mask", full)
    with pytest.raises(OSError, match="No space left on device") as failed:
        written(cases_of([photos]), tmp_path / "out", workers=3)
    ids = [case.id for case in cases_of([photos])]
    before = ids[: ids.index("photo3")]
    assert failed.value.filename == str(tmp_path / "out" / "photo3.png")
    assert {row["mask"] for row in rows(tmp_path / "out")} == {f"{id}.png" for id in before}
    found = content(tmp_path / "out")
    assert {name for name in found if name.endswith(".png")} == {f"{id}.png" for id in before}
    assert not [name for name in found if ".delineate-" in name]


def test_a_fixed_number_of_images_is_in_memory(tmp_path):
    held, most, lock = [0], [0], threading.Lock()

    def load(number):
        with lock:
            held[0] += 1
            most[0] = max(most)
            most.append(held[0])
        time.sleep(0.001)
        pixels = np.moveaxis(drawn(number), -1, 0)
        return Image(pixels, Geometry.in_pixels(pixels.shape[1:]))

    cases = [Case(f"c{n}", f"c{n}", lambda n=n: load(n)) for n in range(60)]
    folder = PredictionFolder(tmp_path / "out", "a digest")
    with folder.table():
        for _ in predict_cases(predictor_of(), cases, folder, Outputs(overlay=False), workers=3):
            with lock:
                held[0] -= 1
            time.sleep(0.002)  # a slow disk
    assert max(most) <= 2 * 3 + 1


def test_a_large_image_is_predicted_while_no_other_one_is(photos, tmp_path, monkeypatch):
    cases = cases_of([photos])
    active, most, lock = set(), {}, threading.Lock()

    class Watched:
        labels = LABELS

        def __call__(self, case):
            with lock:
                active.add(case.id)
                for one in active:
                    most[one] = max(most.get(one, 0), len(active))
            time.sleep(0.05)
            try:
                return predictor_of()(case)
            finally:
                with lock:
                    active.discard(case.id)

    (largest,) = [case for case in cases if case.id == "later/photo6"]
    monkeypatch.setattr(FOLDER, "MOST_SAMPLES", 2 * largest.image.pixels[0].size)
    written(cases, tmp_path / "some", predictor=Watched(), workers=4)
    assert most[largest.id] == 1
    assert max(most.values()) > 1
    most.clear()
    monkeypatch.setattr(FOLDER, "MOST_SAMPLES", 10)
    monkeypatch.setattr(FOLDER, "LARGE_BYTES", 0)
    written(cases, tmp_path / "none", predictor=Watched(), workers=4)
    assert set(most.values()) == {1}
    assert content(tmp_path / "none") == content(tmp_path / "some")


def test_calls_of_networks_are_one_at_a_time():
    active, most = [], []

    def slow(pixels):
        active.append(1)
        most.append(len(active))
        time.sleep(0.005)
        active.pop()
        return Output(pixels)

    networks = [in_turn(slow), in_turn(slow)]
    threads = [
        threading.Thread(
            target=lambda n=n: [networks[n % 2](np.zeros((1, 1, 2, 2))) for _ in "abc"]
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 12


def test_a_stopped_prediction_makes_no_further_call():
    engine, calls = EngineThread(), []
    network = in_turn(lambda pixels: calls.append(threading.get_ident()) or Output(pixels))
    with engine.serving():
        network(np.zeros((1, 1, 2, 2)))
        engine.stopped.set()
        with pytest.raises(PredictionStopped):
            network(np.zeros((1, 1, 2, 2)))
    engine.close()
    network(np.zeros((1, 1, 2, 2)))
    assert len(calls) == 2
    assert calls[1] == threading.get_ident() != calls[0]


def test_one_thread_calls_the_network_for_all_workers(photos, tmp_path):
    threads = set()
    predictor = predictor_of(lambda pixels: threads.add(threading.get_ident()) or bright(pixels))
    written(cases_of([photos]), tmp_path / "out", predictor=predictor, workers=4)
    assert len(threads) == 1


def test_an_interruption_ends_long_predictions_soon_and_leaves_whole_files(photos, tmp_path):
    cases = cases_of([photos])
    windows = in_turn(lambda pixels: time.sleep(0.02) or bright(pixels))

    class Slow:
        def __call__(self, case):
            def many(pixels):
                found = [windows(pixels) for _ in range(1000)]  # much longer than the test waits
                return found[-1]

            ours = predictor_of()
            return (ours if case.id == cases[0].id else replace(ours, network=many))(case)

    def interrupt():
        while not (tmp_path / "out" / f"{cases[0].id}.png").is_file():
            time.sleep(0.01)
        time.sleep(0.2)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    threading.Thread(target=interrupt).start()
    started = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            written(cases, tmp_path / "out", predictor=Slow(), workers=3)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - started < 20
    assert set(content(tmp_path / "out")) == {
        f"{cases[0].id}.png", f"overlays/{cases[0].id}.jpg", "predictions.csv", "predictions.jsonl",
    }  # fmt: skip
    assert [row["mask"] for row in rows(tmp_path / "out")] == [f"{cases[0].id}.png"]


@pytest.fixture
def counted(monkeypatch):
    """The ids of the cases that the verb predicts, with a network that needs no torch."""
    ids = []

    def load(bundle, **_):
        ours = predictor_of()

        def predict(case):
            ids.append(case.id)
            return ours(case)

        return predict

    monkeypatch.setattr(VERB, "load_bundle", load)
    return ids


def test_a_resumed_run_predicts_what_is_not_there_and_its_tables_hold_all(
    tiny_run, photos, tmp_path, counted, capsys
):
    classes = [
        "--to",
        "neopolyp-csv",
        "--to-label",
        "neoplastic=polyp",
        "--to-label",
        "non_neoplastic=",
    ]
    words = ["predict", str(tiny_run), str(photos), *classes, "-o"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    assert sorted(counted) == sorted(case.id for case in cases_of([photos]))
    out = tmp_path / "out"
    some = [str(photos / f"photo{n}.png") for n in (0, 1, 2)]
    assert main(["predict", str(tiny_run), *some, *classes, "-o", str(out)]) == 0
    counted.clear()
    capsys.readouterr()
    assert main([*words, str(out), "--resume"]) == 0
    assert sorted(counted) == ["later/photo5", "later/photo6", "photo3", "photo4"]
    said = capsys.readouterr()
    assert "3 of 7 images were predicted before and have not changed since" in said.err
    assert re.search(r"predicting: 7 of 7 images, \d:\d\d:\d\d, [\d.]+ images/s", said.err)
    assert "7 of 7 images predicted" in said.out
    assert_same(out, tmp_path / "whole")
    counted.clear()
    assert main([*words, str(out), "--resume"]) == 0
    assert counted == []
    assert_same(out, tmp_path / "whole")


def assert_same(ours, theirs):
    """The same files and tables, and the same said of each of them at last."""
    one, other = content(ours), content(theirs)
    assert recorded(one.pop("predictions.jsonl")) == recorded(other.pop("predictions.jsonl"))
    assert sorted(one.pop("predictions.csv").splitlines()) == sorted(
        other.pop("predictions.csv").splitlines()
    )
    assert one == other


def recorded(text):
    """The last line of each file, and of each case."""
    lines = [json.loads(line) for line in text.splitlines() if line.endswith(b"}")]
    return {
        (line.get("file"), line.get("case")): line
        for line in lines
        if line.get("file") != "predictions.csv"
    }


def remove_a_mask(out, photos, **_):
    (out / "photo3.png").unlink()


def remove_an_overlay(out, photos, **_):
    (out / "overlays" / "photo3.jpg").unlink()


def change_an_image(out, photos, **_):
    cv2.imwrite(str(photos / "photo3.png"), drawn(3, (67, 51)))


def damage_the_record(out, photos, **_):
    path = out / "predictions.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    (number,) = [n for n, line in enumerate(lines) if json.loads(line).get("case") == "photo3"]
    path.write_text(
        "".join(lines[:number]) + lines[number][:-20] + "\n" + "".join(lines[number + 1 :])
    )


def edit_the_record(out, photos, **_):
    path = out / "predictions.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    (line,) = [line for line in lines if line.get("case") == "photo3"]
    line["prediction"] = {"rows": 7, "magic": "../x"}
    line["files"] = {}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def point_the_record_elsewhere(out, photos, **_):
    path = out / "predictions.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    (line,) = [line for line in lines if line.get("case") == "photo3"]
    line["files"] = {"../photos/photo3.png": sha256(photos / "photo3.png")}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    "harm",
    [
        remove_a_mask,
        remove_an_overlay,
        change_an_image,
        damage_the_record,
        edit_the_record,
        point_the_record_elsewhere,
    ],
)
def test_what_is_not_whole_any_more_is_predicted_again(harm, tiny_run, photos, tmp_path, counted):
    out = tmp_path / "out"
    verbs.predict(tiny_run, photos, out)
    harm(out, photos)
    counted.clear()
    verbs.predict(tiny_run, photos, out, resume=True)
    assert counted == ["photo3"]
    verbs.predict(tiny_run, photos, tmp_path / "whole")
    assert_same(out, tmp_path / "whole")


def test_a_table_that_is_gone_is_written_again(tiny_run, photos, tmp_path, counted):
    out = tmp_path / "out"
    verbs.predict(tiny_run, photos, out)
    before = (out / "predictions.csv").read_bytes()
    (out / "predictions.csv").unlink()
    counted.clear()
    verbs.predict(tiny_run, photos, out, resume=True)
    assert counted == []
    assert (out / "predictions.csv").read_bytes() == before


@pytest.mark.parametrize("option", [{"flips": (0,)}, {"probabilities": True}, {"strict": True}])
def test_after_a_change_of_the_options_all_are_predicted_again(
    option, tiny_run, photos, tmp_path, counted
):
    verbs.predict(tiny_run, photos, tmp_path / "out")
    counted.clear()
    verbs.predict(tiny_run, photos, tmp_path / "out", resume=True, **option)
    assert len(counted) == 7


def test_after_a_calibration_all_are_predicted_again(tiny_run, photos, tmp_path, counted):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    verbs.predict(run, photos, tmp_path / "out")
    open_bundle(run).update_card(calibration={"temperature": 2.0})
    counted.clear()
    verbs.predict(run, photos, tmp_path / "out", resume=True)
    assert len(counted) == 7


def test_a_resumed_run_replaces_no_mask_of_another_bundle_or_person(
    tiny_run, photos, tmp_path, counted, sealed
):
    out = tmp_path / "out"
    verbs.predict(tiny_run, photos, out)
    other = shutil.copytree(tiny_run / "bundle", tmp_path / "other")
    with open(other / "recipe.yaml", "a", encoding="utf-8") as file:
        file.write("# another\n")
    with pytest.raises(ValueError, match="was written by another bundle; nothing was predicted"):
        verbs.predict(sealed(other), photos, out, resume=True)
    (out / "photo3.png").write_bytes(b"by a person")
    with pytest.raises(ValueError, match="photo3.png was changed since it was predicted"):
        verbs.predict(tiny_run, photos, out, resume=True)


def test_images_that_moved_need_not_be_predicted_again(tiny_run, photos, tmp_path, counted):
    verbs.predict(tiny_run, photos, tmp_path / "out")
    moved = photos.rename(tmp_path / "moved")
    counted.clear()
    verbs.predict(tiny_run, moved, tmp_path / "out", resume=True)
    assert counted == []
    assert {row["image"].partition("/moved/")[0] for row in rows(tmp_path / "out")} == {
        str(tmp_path)
    }


def test_a_line_that_a_full_disk_cut_short_costs_no_other_line(tiny_run, photos, tmp_path, counted):
    out = tmp_path / "out"
    some = [photos / f"photo{n}.png" for n in (0, 1, 2)]
    verbs.predict(tiny_run, some, out)
    for name in ("predictions.jsonl", "predictions.csv"):
        (out / name).write_bytes((out / name).read_bytes()[:-30])
    with open(out / "predictions.jsonl", "ab") as file:
        file.write(b'\n{"file": "predictions.csv", "sha256": null, "bundle": "')
        file.write(open_bundle(tiny_run).digest.encode() + b'"}\n{"file": "pho')
    verbs.predict(tiny_run, photos, out, resume=True)
    verbs.predict(tiny_run, photos, tmp_path / "whole")
    assert_same(out, tmp_path / "whole")


KILLED = """
import os, signal, sys
from pathlib import Path
import delineate.verbs.predict
from delineate.core import Output
from delineate.files import sha256
from delineate.inference import CasePredictor, in_turn
from delineate.prepare import load_prepare
from delineate.progress import quiet
from delineate.tasks import load_task

verb, folder, one = (sys.modules[f"delineate.{name}"] for name in (
    "verbs.predict", "predictions.folder", "predictions.predict_case"))
run, photos, out = map(Path, sys.argv[1:])
DIES_AT, seen = [None], [0]

def step():
    if seen[0] == DIES_AT[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    seen[0] += 1

def counted(home, name):
    real = getattr(home, name)
    def call(*args, **given):
        step()
        result = real(*args, **given)
        step()
        return result
    setattr(home, name, call)

for home, name in ((os, "replace"), (folder, "_append"), (one, "write_mask"), (one, "write_overlay")):
    counted(home, name)

def load(bundle, **_):
    step()
    prepare = load_prepare(bundle.recipe.prepare)
    task = load_task(bundle.recipe.task, bundle.recipe.labels)
    network = in_turn(lambda pixels: Output(3 * pixels.mean(axis=1, keepdims=True)))
    return CasePredictor(prepare, network, task, keep_probabilities=True)

verb.load_bundle = load

def predict(where, **given):
    with quiet():
        verb.predict(run, photos, where, to="neopolyp-csv",
                     to_labels={"neoplastic": "polyp", "non_neoplastic": None}, **given)

def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def whole():
    predict(out / "whole")
    (out / "steps").write_text(str(seen[0]))

assert in_child(whole) == 0
steps = int((out / "steps").read_text())
for moment in range(0, steps, max(1, steps // 24)):
    DIES_AT[0] = moment
    assert in_child(lambda: predict(out / str(moment))) == -signal.SIGKILL, moment
    DIES_AT[0] = None
    assert in_child(lambda: predict(out / str(moment), resume=True)) == 0, moment
print(steps)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_run_that_is_killed_at_any_moment_and_resumed_is_as_one_that_was_not(
    tiny_run, photos, tmp_path
):
    out = tmp_path / "out"
    out.mkdir()
    for number in (1, 2, 3, 4):
        (photos / f"photo{number}.png").unlink()
    command = [sys.executable, "-c", KILLED, str(tiny_run), str(photos), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    killed = [path for path in out.iterdir() if path.is_dir() and path.name != "whole"]
    assert len(killed) >= 24
    for folder in killed:
        assert_same(folder, out / "whole")
        assert (folder / "predictions.csv").read_bytes() == (
            out / "whole" / "predictions.csv"
        ).read_bytes()
