"""Reading pickles from the open web: only plain containers, numbers and numpy arrays."""

import pickle


def safe_unpickle(file):
    """Unpickle plain containers, numbers, numpy arrays and scalars; raise UnpicklingError for others."""
    return _AllowListUnpickler(file, encoding="latin1").load()


class _AllowListUnpickler(pickle.Unpickler):
    """A pickle may name any callable to be run on loading; this unpickler resolves only these."""

    allowed = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    }

    def find_class(self, module, name):
        module = module.replace("numpy._core", "numpy.core")  # numpy 2 writes the new name, reads both
        # Python 3 writes bytes into pickles of protocol 2 as a call of _codecs.encode.
        if (module, name) == ("_codecs", "encode"):
            return _latin1_bytes
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError("it asks for %s.%s, which no data set needs" % (module, name))
        return super().find_class(module, name)


def _latin1_bytes(text, encoding):
    if encoding != "latin1":
        raise pickle.UnpicklingError("it holds bytes in the encoding %r" % (encoding,))
    return text.encode("latin1")
