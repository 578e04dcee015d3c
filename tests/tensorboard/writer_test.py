import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.proto import summary_pb2

from transfusion_tf.tensorboard import measures, points, schema, writer


def read(directory):
    """Reads a directory as TensorBoard does."""
    accumulator = event_accumulator.EventAccumulator(
        str(directory), size_guidance={event_accumulator.TENSORS: 0}
    )
    return accumulator.Reload()


def profile(step, values, measure="cca"):
    return points.layer_profile(
        step,
        {"value": values},
        measure=measures.measure(measure),
        comparison="before_after",
        layers=["conv1", "conv2"],
        num_images=10,
        what="Ten images.",
    )


def test_points_are_read_back_as_they_were_written(tmp_path):
    kernels = np.random.default_rng(0).normal(size=[2, 8, 3, 3, 3])
    document = {"schema_version": 1, "name": "démo"}
    written = [
        profile(0, [1.0, np.nan]),
        points.filters(0, kernels[0], layer="conv1"),
        profile(44, [0.5, -0.25]),
        points.filters(44, kernels[1], layer="conv1"),
        points.study(document),
    ]
    events = writer.EventWriter(tmp_path)
    events.write(0, {"train/loss": 0.5})
    events.write_points(written)
    events.write(44, {"train/loss": 0.25})
    events.close()
    found = read(tmp_path)
    for point in written:
        metadata = found.SummaryMetadata(point.tag)
        assert metadata.plugin_data.plugin_name == "transfusion"
        assert metadata.plugin_data.content == point.content
        assert metadata.data_class == summary_pb2.DATA_CLASS_TENSOR
        [values] = [
            tf.make_ndarray(event.tensor_proto)
            for event in found.Tensors(point.tag)
            if event.step == point.step
        ]
        np.testing.assert_array_equal(values, point.values)
        schema.check_values(schema.decode(point.content), values)
    losses = found.Tensors("train/loss")
    assert [event.step for event in losses] == [0, 44]
    assert tf.make_ndarray(losses[1].tensor_proto) == np.float32(0.25)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64])
def test_numbers_become_float32(tmp_path, dtype):
    # Of bfloat16, for one, a viewer without TensorFlow cannot read any.
    point = dataclasses.replace(
        profile(0, [0, 0]), values=np.array([[1, 2]], dtype)
    )
    events = writer.EventWriter(tmp_path)
    events.write_points([point])
    events.close()
    [event] = read(tmp_path).Tensors(point.tag)
    values = tf.make_ndarray(event.tensor_proto)
    assert values.dtype == np.float32 and values.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("step", [0, 43, 44])
def test_a_step_that_does_not_increase_is_refused(tmp_path, step):
    events = writer.EventWriter(tmp_path)
    events.write_points([profile(44, [1, 1]), profile(0, [1, 1], "svcca")])
    with pytest.raises(ValueError, match=f"step={step} .*last step is 44"):
        events.write_points([profile(step, [1, 1])])
    events.write_points([profile(45, [1, 1])])


def test_only_event_files_of_the_directory_itself_are_removed(tmp_path):
    for directory in (tmp_path, tmp_path / "run"):
        events = writer.EventWriter(directory)
        events.write(0, {"train/loss": 0.5})
        events.close()
    (tmp_path / "result.json").write_text("{}")
    writer.remove_event_files(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"result.json", "run"}
    assert read(tmp_path / "run").Tags()["tensors"] == ["train/loss"]
