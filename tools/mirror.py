"""A mirror of the user's own: its address, and the checksums that it vouches for."""

import os
import pathlib
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

from files.errors import UserError
from tools.download import TIMEOUT, Rejected, describe, log

MOST_SUMS = 1 << 20  # bytes of SHA256SUMS


def mirror_address(text):
    """The address, with a slash at its end, of a mirror given as a folder or a URL.

    "" if none is given. Raises UserError if it is neither.
    """
    folder = os.path.expanduser(text)
    address = pathlib.Path(folder).resolve().as_uri() if os.path.isdir(folder) else text
    try:
        parts = urlsplit(address)
        (parts.hostname or "").encode("idna")  # as it is when the host is looked up
        usable = parts.scheme in ("http", "https", "file")
    except ValueError:
        usable = False
    if text and not usable:
        raise UserError("RRU_DATA_MIRROR is %r: set it to a folder or to a valid http:, https: or"
                        " file: address" % text)
    return address and quote(address, safe="/:?=&%@+,;~[]").rstrip("/") + "/"


def read_sums(mirror):
    """The checksums of a mirror, {file name: SHA-256}; none if they cannot be read."""
    try:
        with urlopen(mirror + "SHA256SUMS", timeout=TIMEOUT) as response:
            content = response.read(MOST_SUMS + 1)
        if len(content) > MOST_SUMS:
            raise Rejected("it is longer than {:,} bytes".format(MOST_SUMS))
    except Exception as error:  # a server can answer anything
        log("The mirror's SHA256SUMS cannot be read (%s): it counts only if a published checksum"
            " agrees." % describe(error))
        return {}
    lines = content.decode("utf-8", "replace").splitlines()
    pairs = (line.split(None, 1) for line in lines)
    return {pair[1].strip().lstrip("*"): pair[0].lower() for pair in pairs if len(pair) == 2}
