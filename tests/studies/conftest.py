import pytest
from etils import epath

from transfusion_tf import analysis, studies, training
from transfusion_tf.analysis import layer_change


@pytest.fixture(scope="session")
def study_config(synthetic_data_dir):
    """Two runs of two steps."""
    base = training.TrainConfig(
        task="synthetic_fundus_referable",
        data_dir=str(synthetic_data_dir),
        image_size=32,
        num_train_examples=32,
        batch_size=16,
        num_steps=2,
        batch_norm_momentum=0.5,
    )
    return studies.StudyConfig(
        name="test",
        arms=(studies.Arm("cbr_tiny", "random"),),
        seeds=(0, 1),
        base=base,
        protocol=analysis.ProtocolConfig(
            num_positions=500, repeats=1, num_images=100
        ),
    )


@pytest.fixture
def study(study_config, tmp_path):
    return studies.Study(study_config, epath.Path(tmp_path / "study"))


@pytest.fixture(scope="session")
def study_trainer():
    return training.Trainer()


@pytest.fixture
def stop_in_first_stage(monkeypatch):
    """A stop that is asked for while a stage is scored, and those scored."""
    stop, score, scored = training.StopRequest(), layer_change._score_stage, []

    def then_stopped(name, *arguments):
        stop.set()
        scored.append(name)
        return score(name, *arguments)

    monkeypatch.setattr(layer_change, "_score_stage", then_stopped)
    return stop, scored
