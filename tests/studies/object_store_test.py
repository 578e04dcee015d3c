"""Studies, runs, data and donors in an object store.

TensorFlow's file system in memory stands for one: like `gs://` it is reached
by `tf.io.gfile` alone, and what asks the operating system finds nothing there.
"""

import dataclasses
import pathlib

import keras
import pytest
from etils import epath
from etils.epath import backend, gpath, register

import transfusion_datasets
from tests.comparing import assert_same_run
from transfusion_tf import reporting, studies, training
from transfusion_tf.raw import errors

SCHEME = "ram"


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    """A new directory, of a scheme that libraries take for a remote one."""
    uri, known = f"{SCHEME}://", gpath._URI_SCHEMES
    monkeypatch.setattr(gpath, "_URI_SCHEMES", known | {SCHEME})
    monkeypatch.setattr(gpath, "_URI_PREFIXES", (*gpath._URI_PREFIXES, uri))
    monkeypatch.setitem(gpath._URI_MAP_ROOT, uri, f"/{SCHEME}/")
    monkeypatch.setitem(gpath._PREFIX_TO_BACKEND, SCHEME, backend.tf_backend)
    monkeypatch.setitem(
        register._URI_PREFIXES_TO_CLS, uri, epath.Path("gs://").__class__
    )
    monkeypatch.setattr(
        keras.src.utils.file_utils,
        "is_remote_path",
        lambda path: "://" in str(path),
    )
    yield epath.Path(f"{uri}{tmp_path.name}")
    # The operating system's file system has seen nothing of it.
    assert not pathlib.Path(f"{SCHEME}:").exists()


def copied(source, target):
    """Copies a directory from or to the local disk, as `gsutil cp -r` does."""
    target.mkdir(parents=True)
    for item in source.iterdir():
        if item.is_dir():
            copied(item, target / item.name)
        else:
            (target / item.name).write_bytes(item.read_bytes())
    return target


def test_data_can_be_prepared_there(bucket):
    # As far as this file system goes, which cannot rename a directory.
    with pytest.raises(errors.ManualDirError):
        transfusion_datasets.prepare("transfusion_eyepacs", data_dir=bucket)


def test_a_study_there_is_a_study_here(
    bucket, study_config, synthetic_data_dir, tmp_path
):
    data_dir = copied(synthetic_data_dir, bucket / "tfds")
    base = dataclasses.replace(study_config.base, data_dir=str(data_dir))
    config = dataclasses.replace(study_config, base=base)
    there = studies.Study(config, bucket / "study")
    outcome = studies.run_study(there, training.Trainer())
    assert outcome.exit_code == 0, outcome.describe(there)
    here = studies.Study(study_config, epath.Path(tmp_path / "here"))
    expected = studies.run_study(here, training.Trainer()).report
    assert outcome.report.table_markdown == expected.table_markdown
    copy = copied(there.path, tmp_path / "there")
    for run in sorted((tmp_path / "here" / "runs").iterdir()):
        assert_same_run(copy / "runs" / run.name, run)
    names = {p.name for p in (tmp_path / "here" / "report").iterdir()}
    assert {
        p.name for p in (copy / "report").iterdir() if "tfevents" not in p.name
    } == {name for name in names if "tfevents" not in name}
    # A report is written from there, and to there.
    reporting.write_report(there.path, bucket / "again")
    assert (bucket / "again" / "table.csv").read_bytes() == (
        there.path / "report" / "table.csv"
    ).read_bytes()


def test_a_run_there_is_resumed_and_is_a_donor(
    bucket, trainer, folder_config, tmp_path
):
    config = dataclasses.replace(folder_config, num_steps=6)
    trainer.train(config, tmp_path / "here")

    class StopsAfterThree:
        seen = 0

        def update(self, num_steps, description):
            self.seen += num_steps
            if self.seen >= 3:
                stopping.stop_request.set()

    stopping = training.Trainer(
        progress=StopsAfterThree(), stop_request=training.StopRequest()
    )
    with pytest.raises(training.Interrupted, match="after step 3"):
        stopping.train(config, bucket / "run")
    trainer.train(config, bucket / "run")
    assert_same_run(
        copied(bucket / "run", tmp_path / "there"), tmp_path / "here"
    )
    evaluated, transferred = [], []
    for place in (bucket, tmp_path):
        donor = place / ("run" if place == bucket else "here")
        _, scores = training.score_run(donor, trainer, split="test")
        evaluated.append(scores)
        config = dataclasses.replace(
            folder_config, init="transfer", donor=str(donor), num_steps=1
        )
        result = trainer.train(config, place / "transferred")
        transferred.append(result["test"])
    assert evaluated[0] == evaluated[1]
    assert transferred[0] == transferred[1]
