"""The classifiers' confusion matrix: confusion_matrix.png."""

import numpy as np

from reports import pictures


def confusion_matrix(trainer):
    """Write confusion_matrix.png: how often test examples of each class were taken for each.

    Nothing is written if the test part is not to be read.
    """
    model, data, settings = trainer.model, trainer.data, trainer.settings
    if not settings.evaluate_on_test:
        return
    counts = np.zeros([data.class_count] * 2, int)
    for batch in data.batches("test"):
        logits = trainer.session.run(model.outputs["logits"], model.feed(batch))
        np.add.at(counts, (batch["labels"], logits.argmax(axis=1)), 1)
    title = "%s, %s, %d test examples" % (data.title, settings.cell_name, counts.sum())
    pictures.confusion_matrix(trainer.run.file("confusion_matrix.png"), counts, data.class_names,
                              title)
    trainer.run.log("confusion_matrix.png: %d of %d test examples are right" % (
        counts.trace(), counts.sum()))
