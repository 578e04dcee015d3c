"""What is published was generated, from records that give nobody away."""

import json
import re

import pytest

from tests.launch import running
from transfusion_tf import records, reporting

RECORDS = sorted(running.ROOT.glob("results/records/*/study.json"))
STUDIES = pytest.mark.parametrize(
    "path", [path.parent for path in RECORDS], ids=lambda path: path.name
)
# What a machine with another matplotlib draws differs in its bytes.
FIGURES = (".svg", ".png")


def test_there_are_published_records():
    assert RECORDS


@STUDIES
def test_the_tables_are_those_of_the_records(path, tmp_path):
    report = reporting.write_report(path, tmp_path)
    published = running.ROOT / "results" / path.name
    assert report.missing == ()
    for file in report.files:
        assert (published / file.name).exists(), file.name
        if file.suffix not in FIGURES:
            expected = (published / file.name).read_bytes()
            assert file.read_bytes() == expected, file.name


@STUDIES
def test_records_hold_no_path_and_no_name_of_a_patient(path):
    for file in path.rglob("*.json*"):
        assert not re.search(r'"/\w', file.read_text()), file
    for file in path.rglob("filters.npz"):
        arrays = records.read_npz(file)
        assert set(arrays) == {"steps", "kernels", "layer"}
    for file in path.rglob("predictions_*.npz"):
        arrays = records.read_npz(file)
        assert set(arrays) == {"example_id", "patient", "label", "score"}
        patients = set(arrays["patient"].tolist())
        assert patients == set(range(len(patients)))


@STUDIES
def test_every_run_was_made_by_a_known_commit(path):
    for file in path.glob("runs/*/config.json"):
        commit = json.loads(file.read_text())["environment"]["commit"]
        assert re.fullmatch("[0-9a-f]{12}", commit), file


def test_every_study_has_a_page_and_stands_in_the_index():
    index = (running.ROOT / "results" / "README.md").read_text()
    for path in RECORDS:
        assert f"{path.parent.name}/README.md" in index


def test_pairs_of_runs_are_published_whole():
    # 3 runs of random make 3 pairs, with 3 of transfer 9, of CBR-Tiny 3; at
    # step 0 and after training.
    parent = running.ROOT / "results/records/eyepacs_lite0/comparisons"
    assert len(list(parent.glob("*-and-*"))) == 2 * (3 + 9 + 3)
