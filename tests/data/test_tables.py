import pytest

from delineate.data._tables import read_split, read_table, rows_by_id


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_of_every_office_program(tmp_path, separator):
    text = '\ufeffid,site \r\n a ,"Oslo"\r\n\r\nb,\r\n'.replace(",", separator)
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
    assert read_table(tmp_path / "t.csv") == [{"id": "a", "site": "Oslo"}, {"id": "b", "site": ""}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        ("id,site\n", "no rows"),
        ("id,id\na,b\n", "two columns are named 'id'"),
        ("id,site\na\n", "the row 'a' has 1 fields; the header has 2"),
        ("a001,2\na002,1\n", "has the columns a001, 2; expected one named id, stem or image"),
        ("id\na\na\n", "two rows have the same id 'a'"),
        ("id,site\n,x\n", "a row has no id: ,x"),
        ("id,image\n../images/a,b.png\n", "the id '../images/a' is a path"),
        ("stem\n/data/a\n", "the stem '/data/a' is a path"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        rows_by_id(tmp_path / "t.csv")


def test_a_table_that_is_no_text(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(ValueError, match="not UTF-8 text"):
        read_table(tmp_path / "t.csv")


def test_rows_by_the_stem_of_their_image(tmp_path):
    (tmp_path / "t.csv").write_text("image,site\nscans/a.1.nii.gz,Oslo\n")
    assert list(rows_by_id(tmp_path / "t.csv")) == ["a.1"]


def test_a_field_too_long_to_be_a_fact_is_refused_with_its_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,note\na,x\nb," + "y" * 140_000 + "\n")
    with pytest.raises(ValueError, match=r"t.csv:3: not a row of a CSV: field larger than"):
        read_table(path)
    with pytest.raises(ValueError, match=r"t.csv:3: not a row"):
        read_split(path)


def test_only_line_ends_end_a_row(tmp_path):
    text = "id,note\r\na,first\u2028second\x0bthird\x85\r\n" + 'b,"two\nlines"\rc,\r'
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
    notes = {row["id"]: row["note"] for row in read_table(tmp_path / "t.csv")}
    assert notes == {"a": "first\u2028second\x0bthird", "b": "two\nlines", "c": ""}
