"""What is minimized, for each kind of task."""

from collections.abc import Mapping

import tensorflow as tf


def _softmax_loss(
    batch: Mapping[str, tf.Tensor], logits: tf.Tensor
) -> tf.Tensor:
    """Cross entropy of one class of several, `[batch]`."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=batch["label"], logits=logits
    )


def _sigmoid_loss(
    batch: Mapping[str, tf.Tensor], logits: tf.Tensor
) -> tf.Tensor:
    """Mean cross entropy of the findings, masked ones as zero, `[batch]`.

    The mean is over all findings: dividing by those that are not masked would
    give the labels of a sparsely labelled image more weight than others'.
    """
    losses = tf.nn.sigmoid_cross_entropy_with_logits(
        labels=tf.cast(batch["target"], logits.dtype), logits=logits
    )
    weight = tf.cast(batch["weight"], logits.dtype)
    return tf.reduce_mean(losses * weight, axis=-1)


def _multiclass_loss(
    batch: Mapping[str, tf.Tensor], logits: tf.Tensor
) -> tf.Tensor:
    """Mean cross entropy of negative, positive, uncertain, `[batch]`."""
    target = batch["target"]
    shape = [-1, target.shape[1], logits.shape[1] // target.shape[1]]
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=target, logits=tf.reshape(logits, shape)
    )
    weight = tf.cast(batch["weight"], logits.dtype)
    return tf.reduce_mean(losses * weight, axis=-1)


LOSSES = {
    "softmax": _softmax_loss,
    "sigmoid": _sigmoid_loss,
    "multiclass": _multiclass_loss,
}
