import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from transfusion_tf import similarity
from transfusion_tf.tensorboard import writer


def read(directory):
    accumulator = event_accumulator.EventAccumulator(
        str(directory), size_guidance={event_accumulator.TENSORS: 0}
    )
    return accumulator.Reload()


def test_a_heat_map_is_read_back_as_it_was_drawn(tmp_path):
    values = {"cka": np.array([[1.0, 0.2, np.nan], [0.4, 0.9, 0.0]])}
    matrix = similarity.SimilarityMatrix(
        ("cka",),
        ("conv1", "block1"),
        ("conv1", "block1", "head"),
        *[values] * 5,
        num_images=10,
        num_datapoints=np.full([2, 3], 10),
    )
    events = writer.ScalarWriter(tmp_path)
    for step in (0, 100):
        events.write_images(step, {"similarity/cka": matrix.heatmap("cka")})
        events.write(step, {"cka/block1": matrix.values["cka"][1, 1]})
    events.close()
    found = read(tmp_path)
    assert found.Tags()["tensors"] == ["similarity/cka", "cka/block1"]
    summaries = found.Tensors("similarity/cka")
    assert [summary.step for summary in summaries] == [0, 100]
    width, height, picture = summaries[1].tensor_proto.string_val
    assert (int(width), int(height)) == (48, 32)
    np.testing.assert_array_equal(
        tf.io.decode_png(picture), matrix.heatmap("cka")
    )
    scalar = found.Tensors("cka/block1")[1]
    assert tf.make_ndarray(scalar.tensor_proto) == np.float32(0.9)
