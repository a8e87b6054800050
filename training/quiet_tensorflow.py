"""TensorFlow for everything above the cells: graph mode, without its start-up noise.

Errors still reach the user.

Import it before anything else that imports TensorFlow:

    from training.quiet_tensorflow import tf
"""

import os
import warnings

from files.environment import need

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.filterwarnings("ignore", category=FutureWarning, module="tensor(flow|board)")
warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)  # hyperopt imports it

need("tensorflow")
import tensorflow.compat.v1 as tf  # noqa: E402

tf.logging.set_verbosity(tf.logging.ERROR)  # its deprecation warnings are of no use to users
tf.disable_v2_behavior()  # graphs and sessions on TensorFlow 2.x too; changes nothing on 1.15
