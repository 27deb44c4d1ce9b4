"""A submission file as a predictor of cases."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from delineate.core import Case, Geometry, Image, Label, LabelSet, Segmentation
from delineate.data import class_labels, run_length_masks
from delineate.files import RUN_LENGTH_TABLES, run_length_table, write_image

TABLE = RUN_LENGTH_TABLES["neopolyp-csv"]
TWO = LabelSet((Label("non_neoplastic", 1), Label("neoplastic", 7)))
POLYP = LabelSet((Label("polyp", 3), Label("unsure", 4, kind="ignore")))


def case(folder, shape):
    image = Image(np.zeros((1, *shape), np.uint8), Geometry.in_pixels(shape))
    write_image(image, folder / "frame 1.png")
    return Case("frame 1", "p", lambda: image, image_path=folder / "frame 1.png")


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None
)
@given(
    arrays(
        np.uint8,
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        elements=st.sampled_from([0, 1, 7]),
    )
)
def test_it_reads_the_masks_that_were_written_and_may_join_classes(tmp_path, classes):
    of = {name: name for name in TABLE.classes}
    written = Segmentation(classes, TWO, Geometry.in_pixels(classes.shape))
    TABLE.write(TABLE.rows("frame 1", written, of), tmp_path / "theirs.csv")
    one = case(tmp_path, classes.shape)
    read = run_length_masks(tmp_path / "theirs.csv", [one], TWO)(one)
    np.testing.assert_array_equal(read.classes, classes)
    joined = run_length_masks(tmp_path / "theirs.csv", [one], POLYP, {"polyp": list(TABLE.classes)})
    np.testing.assert_array_equal(joined(one).classes, np.where(classes, 3, 0))
    rare = {"polyp": "neoplastic", "background": "non_neoplastic"}
    left_out = run_length_masks(tmp_path / "theirs.csv", [one], POLYP, rare)
    np.testing.assert_array_equal(left_out(one).classes, np.where(classes == 7, 3, 0))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            None,
            "polyp has no class 'polyp'.*predictions: {polyp: neoplastic, background: \\[non_neoplastic\\]}",
        ),
        ({"polyp": 255}, "has no class 255"),
        ({"polyp": "neoplastic"}, "no label was given for non_neoplastic.*under background"),
        ({"polyp": ["neoplastic", "neoplastic"]}, "the class neoplastic twice"),
        ({"polip": "neoplastic"}, "'polip', which is not a label"),
        ({"background": ["neoplastic", "non_neoplastic"]}, "does not name polyp"),
    ],
)
def test_labels_without_their_classes_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        class_labels(TABLE, POLYP, values)


def test_the_format_is_known_by_the_header(tmp_path):
    for header in (b"Id,Expected", b'"Id","Expected"\r\n', b"\xef\xbb\xbfId,Expected\n"):
        (tmp_path / "a.csv").write_bytes(header)
        assert run_length_table(tmp_path / "a.csv") is TABLE
    for other in (b"", b"id,expected\n", b"Id,Expected,x\n", b"\0" * 10_000):
        (tmp_path / "a.csv").write_bytes(other)
        with pytest.raises(ValueError, match=r"expected 'Id,Expected' \(neopolyp-csv\)"):
            run_length_table(tmp_path / "a.csv")
