import csv
import pathlib

import numpy as np
import pytest

from transfusion_tf.raw import errors, tables


def write(tmp_path: pathlib.Path, content: str | bytes) -> pathlib.Path:
    path = tmp_path / "labels.csv"
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content)
    return path


def test_a_table_is_what_the_csv_module_reads(tmp_path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    words = ["a", 'say "b"', "c,d", "e\nf", "ünï", ""]
    rows = [["x", "y"], *rng.choice(words, (50, 2)).tolist()]
    path = tmp_path / "labels.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    expected = [{"x": a, "y": b} for a, b in rows[1:] if a or b]
    assert tables.read_table(path, columns=["x", "y"]).rows == expected


def test_lines_are_those_of_the_file(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, 'x\na\n\n"b\nb"\nc\n')
    table = tables.read_table(path, columns=["x"])
    assert table.lines == [2, 5, 6]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfx,y\r\n1,2\r\n",
        b" x , y \n1,2\n",
        b"x,y,,\n1,2,,\n",
        b"x,y\n 1 ,2 \n\n",
    ],
    ids=["byte order mark", "header spaces", "empty columns", "cell spaces"],
)
def test_oddities_that_change_nothing_are_read(
    tmp_path: pathlib.Path, content: bytes
) -> None:
    table = tables.read_table(write(tmp_path, content), columns=["x", "y"])
    assert table.header == ("x", "y")
    assert table.rows == [{"x": "1", "y": "2"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,name\n1,Müller\n".encode("cp1252"), r"0xfc in line 2.*iconv"),
        ("x\n1\n".encode("utf-16"), r"UTF-16 in .*labels\.csv.*iconv"),
        (b"x\n1\n2\0\n", "a zero byte in line 3"),
        (b"y\n1\n", "header 'y' without x"),
        (b"x,x\n1,2\n", "column 'x' twice"),
        (b"x,y\n1,2\n3\n", "1 fields in line 3"),
        (b"x,y\n1,2,3\n", "3 fields in line 2"),
        (b"x,\n1,2\n", "'2' in a column without name in line 2"),
        (b'x\n"1\n', "unexpected end of data"),
        (b"x\n", "no row below the header"),
        (b"", "without x"),
    ],
)
def test_a_bad_file_is_an_error_that_names_file_and_line(
    tmp_path: pathlib.Path, content: bytes, message: str
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(errors.LabelFileError, match=message) as raised:
        tables.read_table(path, columns=["x"])
    assert str(path) in str(raised.value)


def test_a_cell_that_cannot_be_parsed_is_named_or_collected(
    tmp_path: pathlib.Path,
) -> None:
    path = write(tmp_path, "x\n1\nnan\n2\n")
    table = tables.read_table(path, columns=["x"])
    with pytest.raises(errors.LabelFileError, match="x='nan' in line 3"):
        table.parse("x", int, "a whole number")
    with errors.collecting() as found:
        assert table.parse("x", int, "a whole number") == [1, None, 2]
    assert len(found) == 1
