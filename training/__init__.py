"""The one training loop of all four scripts, and what it needs: settings, size, optimizer, run folder.

Importing this package before TensorFlow silences TensorFlow's start-up noise; errors still reach the user.
"""

import os
import warnings

from training.memory import keep_freed_memory

keep_freed_memory()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.filterwarnings("ignore", category=FutureWarning, module="tensor(flow|board)")
warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)  # hyperopt imports it
