"""trials.jsonl: a line of JSON for each trial that ended."""

import json
import os

from files.errors import UserError, hint
from files.reading import reading
from files.run_files import number, text, whole
from files.writing import atomic_write, open_own
from sweeps.search_space import check_value


class Records(object):
    """The records of a sweep's trials, in the order in which they ended, on the disk too.

    space: {name: dimension}. retry_failed: the trials that failed are tried again; their records
    stay in the file until new ones replace them. cut_short: whether a last line that a kill left
    unfinished was dropped. Raises UserError for any other line that is no record.
    """

    def __init__(self, path, space, retry_failed):
        self._path = path
        found, self.cut_short = read_records(path, space)
        if self.cut_short:
            self._write(found)
        self.failed_before = [record for record in found if retry_failed and record["loss"] is None]
        self.all = [record for record in found if record not in self.failed_before]

    @property
    def best(self):
        """The record of the best trial so far, None if none succeeded."""
        succeeded = (record for record in self.all if record["loss"] is not None)
        return min(succeeded, key=lambda record: record["loss"], default=None)

    def add(self, record):
        """Append a record; it replaces that of the same trial's earlier failure."""
        again = [old for old in self.failed_before if old["trial"] == record["trial"]]
        if again:
            self.failed_before.remove(again[0])
            self._write(self.all + [record] + self.failed_before)
        else:
            with open_own(self._path, "a") as file:
                file.write(_line(record))
                file.flush()
                os.fsync(file.fileno())
        self.all.append(record)

    def _write(self, records):
        with atomic_write(self._path, "w") as file:
            file.writelines(map(_line, records))


def _line(record):
    return json.dumps(record, sort_keys=True) + "\n"


def read_records(path, space=()):
    """Return the records in trials.jsonl, and whether its last line was cut short by a kill.

    space: {name: dimension} that the points must be of; empty: points are not checked. Raises
    UserError for any other line that is no record, or is the second one of a trial.
    """
    records = []
    if not os.path.exists(path):
        return records, False
    with hint("fix or remove the line"), reading(path), open(path, "rb") as file:
        lines = file.read().splitlines(True)
        for position, line in enumerate(lines, 1):
            if position == len(lines) and _cut_short(line):
                return records, True
            try:
                record = _checked(json.loads(line.decode("utf-8")), space)
                if record["trial"] in [earlier["trial"] for earlier in records]:
                    raise ValueError("trial %d has a line already" % record["trial"])
            except Exception as error:  # a damaged line can raise nearly anything
                raise UserError("%s: line %d cannot be read as the record of a trial (%.60s: %s)"
                                % (path, position, line.decode("utf-8", "replace").strip(), error))
            records.append(record)
    return records, False


def _cut_short(line):
    try:
        json.loads(line.decode("utf-8"))
    except ValueError:
        return True
    return not line.endswith(b"\n")


def _checked(record, space):
    """`record`, if it is one of a trial; else raises various errors."""
    whole(record["trial"], 1)
    text(record["reason"] or "")
    for name in space:
        check_value(space[name], record["point"][name])
    dict(record["point"])
    if record["loss"] is not None:
        text(record["metric"])
        whole(record["epochs"])
        for name in ("loss", "value", "seconds"):
            if not abs(number(record[name])) < float("inf"):
                raise ValueError("%s is %s" % (name, record[name]))
    return record
