"""Addresses of the published data sets, and the checksums that tell a published file."""

from collections import namedtuple
from urllib.parse import quote

# A file as it ends up in data/<task>/unchanged. `checksum` is its published MD5 (32 digits) or
# SHA-256 (64), `size` its bytes, `member` its name in the archive it comes in (None: in none).
File = namedtuple("File", "name checksum size member")

# One thing to fetch. `name` is its file name at the original address (a mirror uses the same one),
# `sets` the data sets that need it, `task` the folder under data/, `urls` the addresses, tried in
# turn.
Download = namedtuple("Download", "name sets task urls files")


def _music(data_set, other_name, size, sha256):
    name = data_set + ".pickle"
    urls = ("http://www-etud.iro.umontreal.ca/~boulanni/" + quote(name),
            "https://github.com/pyro-ppl/datasets/raw/master/polyphonic/" + other_name)
    return Download(name, (data_set,), "mm", urls, (File(name, sha256, size, None),))


def _keras(name, data_set, task, size, checksum, older_folder):
    urls = ("https://storage.googleapis.com/tensorflow/tf-keras-datasets/" + name,
            "https://s3.amazonaws.com/%s/%s" % (older_folder, name))
    return Download(name, (data_set,), task, urls, (File(name, checksum, size, None),))


def _wikipedia(name, md5):
    urls = ("http://mattmahoney.net/dc/%s.zip" % name, "https://data.deepai.org/%s.zip" % name)
    return Download(name + ".zip", (name,), "lm", urls, (File(name, md5, 100000000, name),))


def _penn(part, size, md5):
    name = "ptb.%s.txt" % part
    return File(name, md5, size, "simple-examples/data/" + name)


DOWNLOADS = (
    _music("JSB Chorales", "jsb_chorales.pickle", 2051809,
           "69dc4c3e52800959ac0ab3b82aa3e5f55285ce64f1705acb3e3a8ef77a5c051c"),
    _music("Nottingham", "nottingham.pickle", 24328483,
           "c00cd14b74137a28bf0b5703b47833523069e68073ecc1bd3c3e8bf4efb1c67f"),
    _music("MuseData", "muse_data.pickle", 31533329,
           "b109ebdb74b57c6cc245b31af0e19ac52c7ff1673ffb2ae5d1225dba60d6d3ec"),
    _music("Piano-midi.de", "piano_midi.pickle", 7413484,
           "273d593b13d9a348410d261c0223d47523e2a9b41702137aaab5922242518296"),
    Download("simple-examples.tgz", ("penn", "pennchar"), "lm",
             ("http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz",
              "https://dataset.bj.bcebos.com/imikolov/simple-examples.tgz"),
             (_penn("train", 5101618, "f26c4b92c5fdc7b3f8c7cdcb991d8420"),
              _penn("valid", 399782, "aa0affc06ff7c36e977d7cd49e3839bf"),
              _penn("test", 449945, "8b80168b89c18661a38ef683c0dc3721"),
              _penn("char.train", 10034964, "874909f99060142f6b88cc74c34baaa2"),
              _penn("char.valid", 786084, "9e0fe5bec2a8bf43fd686dc23d5ab8bb"),
              _penn("char.test", 884846, "1f9a2d1afe00f76e8bfbe09a65439681"))),
    _wikipedia("enwik8", "a1fa5ffddb56f4953e226637dabbb36a"),
    _wikipedia("text8", "3bea1919949baf155f99411df5fada7e"),
    _keras("imdb.npz", "IMDB", "sa", 17464789,
           "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f", "text-datasets"),
    _keras("imdb_word_index.json", "IMDB", "sa", 1641221, "bfafd718b763782e994055a2d397834f",
           "text-datasets"),
    _keras("mnist.npz", "MNIST", "mnist", 11490434,
           "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1", "img-datasets"),
)
