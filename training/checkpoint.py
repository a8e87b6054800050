"""Checkpoints: variables and what else a training needs to continue, in one file."""

import json

from training.quiet_tensorflow import tf

from files.arrays import load_arrays, save_arrays
from files.errors import UserError
from files.reading import reading


class Checkpoint(object):
    """Variables and a JSON-able `progress` in one .npz: a kill leaves the old or the new one whole.

    (A tf.train.Saver writes three files, which a kill can leave out of step with one another.)
    """

    def __init__(self, variables):
        self._variables = {variable.op.name: variable for variable in variables}
        self._values = {name: tf.placeholder(variable.dtype.base_dtype, variable.shape)
                        for name, variable in self._variables.items()}
        self._assign = tf.group(*[tf.assign(variable, self._values[name])
                                  for name, variable in self._variables.items()])

    def save(self, session, path, progress, arrays=()):
        """Write the variables' values, `progress` and a sequence of further `arrays`."""
        values = {"variable/" + name: value
                  for name, value in session.run(self._variables).items()}
        further = {"array/%d" % i: array for i, array in enumerate(arrays)}
        save_arrays(path, progress=json.dumps(progress), **further, **values)

    def load(self, session, path):
        """Set the variables; returns (progress, list of further arrays). Raises UserError."""
        saved = load_arrays(path, texts=["progress"])
        for name, variable in self._variables.items():
            self._check(path, name, variable, saved.get("variable/" + name))
        with reading(path):
            progress = dict(json.loads(str(saved["progress"])))
            count = sum(name.startswith("array/") for name in saved)
            further = [saved["array/%d" % i] for i in range(count)]
        session.run(self._assign, {placeholder: saved["variable/" + name]
                                   for name, placeholder in self._values.items()})
        return progress, further

    @staticmethod
    def _check(path, name, variable, found):
        shape, kind = tuple(variable.shape.as_list()), variable.dtype.base_dtype.as_numpy_dtype
        if found is None or found.shape != shape or found.dtype != kind:
            problem = "%s has %s %s of shape %s: the data or the scripts are not those of the run"
            difference = "no" if found is None else "another"
            raise UserError(problem % (path, difference, name, variable.shape))


def check_whole(path):
    """Raise UserError if a checkpoint is missing, or damaged as kills and full disks leave one."""
    load_arrays(path, ["progress"], texts=["progress"])
