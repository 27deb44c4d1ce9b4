"""What each check says of facts that are made up."""

from dataclasses import replace

import pytest

from delineate.audit._audit import summed_up
from delineate.audit._case_facts import IdentityFacts, TruthFacts
from delineate.audit.sides import sides
from delineate.core import Label, LabelSet


@pytest.fixture
def said(labels):
    def of(*cases):
        return {f.check: (f.says, f.cases) for f in summed_up(cases, labels).findings}

    return of


def truth(*objects):
    return TruthFacts({"polyp": objects}, 0, "t")


def test_a_label_that_is_never_trained_is_refused_and_one_never_judged_is_not(said, facts):
    cases = [
        facts("a", truth=truth()),
        facts("b", "test", truth=truth(20)),
        facts("c", "val", truth=truth()),
    ]
    found = said(*cases)
    assert found["label_never_trained"] == ("no case of train shows any polyp", ())
    assert found["label_never_judged"] == ("no case of val shows any polyp", ())
    assert found["empty_truth"] == (
        "2 cases without any label (1 in train, 1 in val)",
        (("a",), ("c",)),
    )
    assert "no_truth" not in found
    assert said(facts("a", truth=None))["no_truth"][1] == (("a",),)


def image_level(shown):
    return TruthFacts({"polyp": ()}, 0, "t", {"polyp": shown}, outlined=False)


def test_cases_with_image_level_labels_only_are_counted_by_what_is_said_of_them(labels, facts):
    cases = [
        facts("a", mask=None, truth=image_level(True)),
        facts("b", mask=None, truth=image_level(False)),
        facts("c", mask=None, truth=image_level(None)),
        facts("d", "test", truth=truth(20)),
    ]
    audit = summed_up(cases, labels)
    found = {f.check: (f.says, f.cases) for f in audit.findings}
    assert found.keys() == {"empty_truth", "image_level_labels_only", "image_label_not_known"}
    assert found["empty_truth"] == ("1 case without any label (1 in train)", (("b",),))
    says, concerned = found["image_level_labels_only"]
    assert says == "3 cases with image-level labels and no mask (3 in train)"
    assert concerned == (("a",), ("b",), ("c",))
    assert found["image_label_not_known"][1] == (("c",),)
    train = audit.splits["train"]
    assert (train["image_level"], train["empty"], train["without_truth"]) == (3, 1, 0)
    assert (train["labels"]["polyp"]["cases"], train["labels"]["polyp"]["not_known"]) == (1, 1)
    assert audit.lines()[0] == (
        "train    3 cases of 3 groups; polyp in 1, not known of 1; 1 empty; 3 with image-level labels only"
    )
    assert audit.splits["test"]["labels"]["polyp"]["objects"] == 1


def test_an_image_level_label_that_no_training_case_shows_is_refused(said, facts):
    cases = [facts("a", truth=image_level(False)), facts("b", truth=image_level(None))]
    assert "label_never_trained" in said(*cases)
    assert "label_never_trained" not in said(*cases, facts("c", truth=image_level(True)))


def test_an_image_level_label_that_the_mask_contradicts_is_listed(said, facts):
    cases = [
        facts("a", truth=replace(truth(20), present={"polyp": False})),
        facts("b", truth=replace(truth(), present={"polyp": True})),
        facts("c", truth=replace(truth(20), present={"polyp": None})),
    ]
    assert said(*cases)["image_label_contradicts_mask"][1] == (("a",), ("b",))
    assert "image_label_contradicts_mask" not in said(
        cases[1]
    )  # masks may not hold the label at all


def test_intensities_on_scales_of_their_own(said, facts):
    def scaled(factor):
        return (tuple(factor * q for q in (0.0, 1, 10, 20, 50, 80, 90, 100, 120)),)

    usual = [facts(f"{i}", quantiles=scaled(1 + i)) for i in range(6)]
    assert said(*usual) == {}
    says, cases = said(*usual, facts("wild", quantiles=scaled(5000)))["intensity_scales"]
    assert cases == (("wild",),)
    assert "from 99 to 495,000" in says


def test_mixed_kinds_list_the_rarer_ones(said, facts):
    cases = [
        facts("a"),
        facts("b"),
        facts("c", channels=3, dtype="uint16", quantiles=facts("").image.quantiles * 3),
    ]
    found = said(*cases)
    assert found == {
        "mixed_channels": ("images of 1 channel (2), 3 channels (1)", (("c",),)),
        "mixed_types": ("images of uint8 (2), uint16 (1)", (("c",),)),
    }
    volume = {"shape": (4, 4, 4), "spacing": (1.0, 1.0, 1.0), "unit": "mm"}
    assert set(said(facts("a"), facts("v", **volume))) == {"mixed_axes", "mixed_units"}


def test_orientations_are_compared_where_they_are_known(said, facts):
    oriented = (("a", "RAS"), ("b", "SPL"), ("c", "RAS"), ("d", ""))
    volume = {"shape": (4, 4, 4), "spacing": (1.0, 1.0, 1.0), "unit": "mm"}
    cases = [facts(id, **volume, orientation=o) for id, o in oriented]
    assert said(*cases) == {"mixed_orientations": ("images of RAS (2), SPL (1)", (("b",),))}
    assert not said(cases[0], cases[2], cases[3])


def test_grids_unlike_the_others(said, facts):
    ct = {"shape": (4, 4, 4), "unit": "mm"}
    usual = [facts(f"{i}", spacing=(0.8, 0.8, 2.0 + i / 10), **ct) for i in range(5)]
    turned = facts("turned", spacing=(2.0, 0.8, 0.8), **ct)
    assert said(*usual, turned) == {}
    odd = [
        facts("thick", spacing=(0.8, 0.8, 10.0), **ct),
        facts("metres", spacing=(8e-4, 8e-4, 2e-3), **ct),
    ]
    assert said(*usual, *odd)["spacing_outliers"][1] == (("thick",), ("metres",))
    assert said(*usual, facts("s", spacing=(0.8, 0.8, 2.0), skew=0.1, **ct)).keys() == {
        "sheared_grid"
    }
    assert said(*usual, facts("t", spacing=(0.8, 0.8, 2.0), two_places=2.0, **ct)).keys() == {
        "two_affines"
    }


def test_tiny_objects_are_counted(said, facts):
    says, cases = said(facts("a", truth=truth(1, 9, 10)), facts("b"))["tiny_objects"]
    assert says == "2 objects of fewer than 10 samples in the masks of 1 case"
    assert cases == (("a",),)


def test_volumes_of_one_body_share_slices(said, facts):
    def body(id, split, group, *axial):
        return facts(
            id, split, group, shape=(4, 4, 4), spacing=(1.0,) * 3, unit="mm", slices=((), (), axial)
        )

    whole, part, other = (
        body("w", "train", "1", *"abcd"),
        body("p", "test", "2", *"cd"),
        body("o", "test", "3", "", "x"),
    )
    touching = body("t", "val", "4", "d", "", "")
    found = said(whole, part, other, touching)
    assert found["shared_slices_across_splits"][1] == (("w", "p"),)
    within = said(whole, body("p", "train", "2", *"cd"))
    assert set(within) == {"shared_slices_of_two_groups"}
    assert set(said(whole, body("p", "train", "1", *"cd"))) == {"shared_slices"}


def test_groups_and_patients_on_two_sides(said, facts):
    cases = [
        facts("a", "train", "1", patient="x"),
        facts("b", "test", "2", patient="x"),
        facts("c", "train", "3", patient="y"),
        facts("d", "train", "4", patient="y"),
        facts("e", "val", "3"),
    ]
    found = said(*cases)
    assert found["group_across_splits"][1] == (("c", "e"),)
    assert found["patient_across_splits"][1] == (("a", "b"),)
    assert found["patient_of_two_groups"][1] == (("c", "d"),)


def test_burned_in_text(said, facts):
    cases = [
        facts("says so", identity=IdentityFacts((), "YES", "US")),
        facts("says nothing", identity=IdentityFacts(("PatientName",), "", "US")),
        facts("says no", identity=IdentityFacts((), "NO", "US")),
        facts("ct", identity=IdentityFacts((), "", "CT")),
    ]
    found = said(*cases)
    assert found["burned_in_text"][1] == (("says so",),)
    assert found["burned_in_unknown"][1] == (("says nothing",),)
    assert found["identity_fields"][1] == (("says nothing",),)


def test_a_left_organ_on_the_right_is_refused(facts):
    labels = LabelSet(tuple(Label(n, v) for v, n in enumerate(["left_lung", "right_lung", "x"], 1)))

    def lungs(id, **lateral):
        return facts(
            id, truth=TruthFacts(dict.fromkeys(labels.names, (9,)), 0, id, lateral=lateral)
        )

    cases = [lungs("a", left_lung=50.0, right_lung=-40.0), lungs("b", left_lung=-30.4, right_lung=9.8)]  # fmt: skip
    (found,) = sides([*cases, lungs("c"), lungs("d", left_lung=-30.0)], labels)
    assert (found.check, found.level, found.cases) == ("sides_swapped", "refuse", (("b",),))
    assert found.why == ("left_lung lies 40 mm to the right of right_lung",)
