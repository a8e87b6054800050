"""One experiment from the command line to the report: what the main() of all four scripts does."""

import errno
import time

from training.quiet_tensorflow import tf  # first

from files.errors import UserError
from reports import report
from training.memory import keep_freed_memory
from training.model import out_of_memory
from training.run_folder import RunFolder
from training.settings import read_settings
from training.trainer import Trainer

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES)


def run(script_globals, load, build_model, show, arguments=None):
    """Train (or resume, or only evaluate) one model and report it, or sweep over many.

    script_globals, arguments: see read_settings. load(settings) gives the data, build_model(settings, data) the
    Model in the default graph, show(trainer) leaves samples in the run's folder. Raises UserError.
    """
    started = time.monotonic()
    keep_freed_memory()
    settings = read_settings(script_globals, arguments)
    data = load(settings)
    if settings.do_hyperparameter_optimization:
        from sweeps import sweep  # here: a training needs no hyperopt
        return sweep.run(settings, data, script_globals)
    with tf.Graph().as_default():
        tf.set_random_seed(settings.seed)
        model = build_model(settings, data)
        try:
            with RunFolder(settings, data) as folder:
                with Trainer(settings, model, data, folder, started) as trainer:
                    if not settings.evaluate:
                        trainer.fit()
                    report.final(trainer)
                    if settings.evaluate_on_test:
                        show(trainer)
        except tf.errors.ResourceExhaustedError:
            raise out_of_memory(settings)
        except OSError as error:
            if error.errno not in _DISK:
                raise
            raise UserError("the run's files cannot be written (%s): make room or mend the disk, then go on with "
                            "--resume" % error)
