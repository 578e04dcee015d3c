"""Label files: CSV read strictly, errors that name file and line."""

import csv
import dataclasses
import io
from collections.abc import Callable, Sequence

from etils import epath

from transfusion_tf.raw import errors

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ENCODING_MEND = (
    "Save it as UTF-8, for example with: iconv -f WINDOWS-1252 -t UTF-8 FILE"
)


@dataclasses.dataclass(frozen=True)
class Table:
    """The rows of a label file.

    Attributes:
        path: The file.
        header: Names of its columns, in their order, without surrounding
            space; columns without name, which hold nothing, are left out.
        rows: A row of values, without surrounding space, by column name.
        lines: Line of the file on which each row ends, from 1.
    """

    path: epath.Path
    header: tuple[str, ...]
    rows: list[dict[str, str]]
    lines: list[int]

    def error(
        self, place: int, received: str, expected: str
    ) -> errors.LabelFileError:
        """Makes the error of a row.

        Args:
            place: Index of the row.
            received: What stands there.
            expected: What would be right.
        """
        return label_error(
            self.path, f"{received} in line {self.lines[place]}", expected
        )

    def parse(
        self, column: str, parser: Callable[[str], object], expected: str
    ) -> list[object]:
        """Parses a column.

        Args:
            column: Its name.
            parser: Makes a value of a cell, or raises ValueError or KeyError.
            expected: What would be right, for errors.

        Returns:
            The values; `None` for rows whose error was collected.

        Raises:
            errors.LabelFileError: If a cell cannot be parsed, naming line,
                column and what stands there.

        Example:
        >>> table = Table(epath.Path("a.csv"), ("age",), [{"age": "x"}], [2])
        >>> table.parse("age", int, "a whole number")
        Traceback (most recent call last):
            ...
        transfusion_tf.raw.errors.LabelFileError: A label file is wrong. \
Received: age='x' in line 2 of 'a.csv'. Expected a whole number. Correct the \
file or fetch it anew.
        """
        parsed: list[object] = []
        for place, row in enumerate(self.rows):
            try:
                parsed.append(parser(row[column]))
            except (ValueError, KeyError):
                received = f"{column}={row[column]!r}"
                errors.report(self.error(place, received, expected))
                parsed.append(None)
        return parsed


def read_table(path: epath.PathLike, *, columns: Sequence[str]) -> Table:
    """Reads a CSV file.

    Args:
        path: UTF-8, with or without a byte order mark.
        columns: Columns that must be there; others may.

    Returns:
        The table; empty lines are left out.

    Raises:
        errors.LabelFileError: If the file is not UTF-8, a column is missing
            or stands twice, a row has more or fewer fields than the header,
            or there is no row.
    """
    path = epath.Path(path)
    text = _decode(path, path.read_bytes())
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, lines = [], []
    try:
        header = [name.strip() for name in next(reader, [])]
        kept = _check_header(path, header, columns)
        for row in reader:
            if not any(row):
                continue
            if len(row) != len(header):
                raise _ragged(path, reader.line_num, row, header)
            _check_nameless(path, reader.line_num, row, header)
            rows.append({header[i]: row[i].strip() for i in kept})
            lines.append(reader.line_num)
    except csv.Error as error:
        raise label_error(
            path, f"{error} in line {reader.line_num}", "a CSV file"
        ) from error
    if not rows:
        raise label_error(path, "no row below the header", "labels")
    names = tuple(header[i] for i in kept)
    return Table(path, names, rows, lines)


def label_error(
    path: epath.PathLike, received: str, expected: str
) -> errors.LabelFileError:
    """Makes the error of a label file.

    Args:
        path: The file.
        received: What stands in it.
        expected: What would be right.
    """
    return errors.LabelFileError(
        f"A label file is wrong. Received: {received} of {str(path)!r}. "
        f"Expected {expected}. Correct the file or fetch it anew."
    )


def _decode(path: epath.Path, content: bytes) -> str:
    if content.startswith(_UTF_16_MARKS):
        raise errors.LabelFileError(
            f"A label file is not UTF-8. Received: UTF-16 in {str(path)!r}. "
            "Save it as UTF-8, for example with: iconv -f UTF-16 -t UTF-8 FILE"
        )
    if b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise label_error(path, f"a zero byte in line {line}", "a CSV file")
    try:
        # Spreadsheet programs put a byte order mark before the header.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise errors.LabelFileError(
            "A label file is not UTF-8. Received: byte "
            f"0x{content[error.start]:02x} in line {line} of {str(path)!r}. "
            f"{_ENCODING_MEND}"
        ) from error


def _check_header(
    path: epath.Path, header: list[str], columns: Sequence[str]
) -> list[int]:
    """Returns the places of the columns that have a name."""
    missing = [name for name in columns if name not in header]
    if missing:
        raise label_error(
            path,
            f"header {','.join(header)!r} without {', '.join(missing)}",
            f"the columns {', '.join(columns)}",
        )
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise label_error(
            path, f"column {twice[0]!r} twice", "each column once"
        )
    return [place for place, name in enumerate(header) if name]


def _ragged(
    path: epath.Path, line: int, row: list[str], header: list[str]
) -> errors.LabelFileError:
    return label_error(
        path,
        f"{len(row)} fields in line {line}",
        f"{len(header)} fields: {','.join(header)}",
    )


def _check_nameless(
    path: epath.Path, line: int, row: list[str], header: list[str]
) -> None:
    for value, name in zip(row, header, strict=True):
        if value.strip() and not name:
            raise label_error(
                path,
                f"{value!r} in a column without name in line {line}",
                "a name for every column that holds something",
            )
