"""One experiment from the command line to the report: what the main() of all four scripts does."""

import time

from training.quiet_tensorflow import tf  # first

from files.errors import disk_errors
from reports import report
from sweeps.pruning import median_rule
from training.memory import keep_freed_memory
from training.model import out_of_memory
from training.run_folder import RunFolder
from training.read_settings import read_settings
from training.trainer import Trainer


def run(script_globals, load, build_model, write_samples, arguments=None, check_prompt=None):
    """Train (or resume, or only evaluate) a model and report it, or sweep over many.

    script_globals, arguments: see read_settings. load(settings) gives the data,
    build_model(settings, data) the Model in the default graph, write_samples(trainer)
    leaves samples in the run's folder, check_prompt(settings, data) refuses what they cannot start
    from, before the training. Raises UserError.
    """
    started = time.monotonic()
    keep_freed_memory()
    settings = read_settings(script_globals, arguments)
    with disk_errors("make room or repair the disk, then give the same command again, or --resume"):
        data = load(settings)
        if settings.do_hyperparameter_optimization:
            from sweeps import sweep  # here: a training needs no hyperopt
            return sweep.run(settings, data, script_globals)
        if check_prompt:
            check_prompt(settings, data)
        _run_one(settings, data, build_model, write_samples, started)


def _run_one(settings, data, build_model, write_samples, started):
    with tf.Graph().as_default():
        tf.set_random_seed(settings.seed)
        model = build_model(settings, data)
        if not settings.evaluate:
            for split in ("train", "valid"):
                data.batches(split)  # raises if they do not fit, before the run's folder is made
        try:
            with RunFolder(settings, data) as folder:
                for note in settings.notes:
                    folder.log(note)
                with Trainer(settings, model, data, folder, started) as trainer:
                    if not settings.evaluate:
                        trainer.stopping.median_at = median_rule(
                            folder.path, settings.prune_after)
                        trainer.fit()
                    _report(trainer, write_samples)
        except (tf.errors.ResourceExhaustedError, MemoryError):
            raise out_of_memory(settings)


def _report(trainer, write_samples):
    """Report a run that has been trained, or only make its samples."""
    settings = trainer.settings
    if settings.values.get("sample"):
        trainer.load_best()
    elif not report.final(trainer):
        return
    if settings.evaluate_on_test or settings.evaluate:
        write_samples(trainer)
