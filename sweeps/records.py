"""trials.jsonl: a line of JSON for each trial that ended, in that order."""

import json
import os

from files.errors import UserError, hint
from files.reading import reading
from files.run_files import check_int, check_number, check_text
from sweeps.search_space import check_value


def load_records(sweep, space=()):
    """The records in trials.jsonl of the sweep in the folder `sweep`; none if it is missing.

    space: {name: dimension} that the points must be of; empty: points are not checked. Raises
    UserError for a line that is no record, or is the second one of a trial.
    """
    records, path = [], os.path.join(sweep, "trials.jsonl")
    if not os.path.exists(path):
        return records
    with hint("fix or remove the line"), reading(path), open(path, "rb") as file:
        for position, line in enumerate(file, 1):
            try:
                record = _checked(json.loads(line.decode("utf-8")), space)
                if record["trial"] in [earlier["trial"] for earlier in records]:
                    raise ValueError("trial %d has a line already" % record["trial"])
            except Exception as error:  # a damaged line can raise nearly anything
                raise UserError("%s: line %d cannot be read as the record of a trial (%.60s: %s)"
                                % (path, position, line.decode("utf-8", "replace").strip(), error))
            records.append(record)
    return records


def _checked(record, space):
    """`record`, if it is one of a trial; else raises various errors."""
    check_int(record["trial"], 1)
    check_text(record["reason"] or "")
    for name in space:
        check_value(space[name], record["point"][name])
    dict(record["point"])
    if record["loss"] is not None:
        check_text(record["metric"])
        check_int(record["epochs"])
        for name in ("loss", "value", "seconds"):
            if not abs(check_number(record[name])) < float("inf"):
                raise ValueError("%s is %s" % (name, record[name]))
    return record
