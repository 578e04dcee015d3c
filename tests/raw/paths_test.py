import os
import pathlib
import subprocess
import sys
import unicodedata

import pytest

from transfusion_tf.raw import errors, paths


@pytest.mark.parametrize(
    "name", ["a.png", "b c/d e.png", "Größe/ü.png", "..a/b..png", "./a.png"]
)
def test_a_name_below_the_directory_is_found(
    tmp_path: pathlib.Path, name: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert pathlib.Path(paths.resolve(tmp_path, name, where="x")) == path


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("in_file", ["NFC", "NFD"])
def test_either_spelling_of_marked_letters_is_found(
    tmp_path: pathlib.Path, on_disk: str, in_file: str
) -> None:
    (tmp_path / unicodedata.normalize(on_disk, "ä.png")).write_text("here")
    name = unicodedata.normalize(in_file, "ä.png")
    assert paths.resolve(tmp_path, name, where="x").read_text() == "here"


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../a.png", "b/../../a.png", "link/a.png"]
)
def test_a_name_that_leaves_the_directory_is_refused(
    tmp_path: pathlib.Path, name: str
) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    (other / "a.png").touch()
    (root / "link").symlink_to(other)
    with pytest.raises(
        errors.PathError, match=rf"{name!r} in labels\.csv line 3.*below"
    ):
        paths.resolve(root, name, where="labels.csv line 3")


def test_a_link_that_stays_inside_is_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.png").write_text("here")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    assert paths.resolve(tmp_path, "link.png", where="x").read_text() == "here"


def test_images_are_listed_in_order_without_hidden_and_other_files(
    tmp_path: pathlib.Path,
) -> None:
    for name in (
        "b.JPG",
        "a.png",
        ".DS_Store",
        "._a.png",
        "Thumbs.db",
        "c.txt",
    ):
        (tmp_path / name).touch()
    found = paths.list_images(tmp_path)
    assert [(k, p.name) for k, p in found.items()] == [
        ("a", "a.png"),
        ("b", "b.JPG"),
    ]
    (tmp_path / "a.jpeg").touch()
    with pytest.raises(errors.DuplicateError, match=r"a\.jpeg.*a\.png"):
        paths.list_images(tmp_path)


def test_a_missing_directory_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.ManualDirError, match="No such file.*nowhere'"):
        paths.list_images(tmp_path / "nowhere")


def test_a_directory_that_may_not_be_read_is_named(
    tmp_path: pathlib.Path,
) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    code = (
        "from transfusion_tf.raw import paths; "
        f"paths.list_images({str(folder)!r})"
    )
    # Root may read everything, whatever the file modes say.
    dropped = "-dac_override,-dac_read_search"
    as_user = ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}"]
    command = as_user if os.geteuid() == 0 else []
    done = subprocess.run(
        [*command, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (
        "ManualDirError: A directory cannot be read: Permission" in done.stderr
    )
