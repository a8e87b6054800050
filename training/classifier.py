"""The classifiers' model: one label for a whole sequence, read from the top layer's final state."""

from training.quiet_tensorflow import tf

from training.metrics import Metric
from training.model import Model


def classifier(settings, network, inputs, features):
    """A Model that gives each sequence one of the network's classes.

    inputs: the placeholder of the sequences, [T, B]. features: what the lowest cell reads, [T, B,
    D]. Training minimises the cross-entropy with smoothed labels (settings.label_smoothing); the
    metric `cross_entropy` is that of the true labels, in nats. `batch_accuracy` is the published
    average.
    """
    lengths = tf.placeholder(tf.int32, [None], "lengths")
    labels = tf.placeholder(tf.int32, [None], "labels")

    _, states = network.unroll(features, lengths=lengths)
    logits = network.head(network.cells[-1].final_hidden(states[-1]))

    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    right = tf.cast(tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels), tf.float32)
    metrics = {
        "accuracy": Metric(tf.reduce_sum(right), tf.size(labels)),
        "cross_entropy": Metric(tf.reduce_sum(losses), tf.size(labels)),
    }
    # Smoothing: a part of each label is spread evenly over all classes (Szegedy et al. 2016).
    elsewhere = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=1)
    smoothed = (1 - settings.label_smoothing) * losses + settings.label_smoothing * elsewhere
    return Model(settings, network, {"inputs": inputs, "lengths": lengths, "labels": labels},
                 loss=tf.reduce_mean(smoothed), metrics=metrics, monitor="accuracy",
                 outputs={"logits": logits}, by_example={"batch_accuracy": right})
