"""The classifiers' confusion matrix: confusion_matrix.png."""

import numpy as np

from reports.pictures import save


def draw_confusion_matrix(trainer):
    """Write confusion_matrix.png: how often test examples of each class were taken for each.

    Nothing is written if the test part is not to be read.
    """
    model, data, settings = trainer.model, trainer.data, trainer.settings
    if not settings.evaluate_on_test:
        return
    from sklearn.metrics import ConfusionMatrixDisplay  # here: importing it takes a second
    labels, given = [], []
    for batch in data.batches("test"):
        logits = trainer.session.run(model.outputs["logits"], model.feed(batch))
        labels.append(batch["labels"])
        given.append(logits.argmax(axis=1))
    labels, given = np.concatenate(labels), np.concatenate(given)
    right = (labels == given).sum()
    display = ConfusionMatrixDisplay.from_predictions(
        labels, given, labels=range(len(data.class_names)), display_labels=data.class_names,
        cmap="Greys", values_format="d")
    display.ax_.set_title("%s, %s, %d test examples" % (data.title, settings.cell_name,
                                                        len(labels)), fontsize=10)
    save(display.figure_, trainer.run.file("confusion_matrix.png"))
    trainer.run.log("confusion_matrix.png: %d of %d test examples are right" % (right, len(labels)))
