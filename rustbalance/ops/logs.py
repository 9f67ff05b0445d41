"""
What the log looks like.

Owns: the observer that turns log events into lines. In: the level and the format that ``logging.*`` of the
configuration names; out: text for people or one JSON object a line for machines, on a stream.
Only what the daemon says itself is shown at info; the libraries below it are heard from warn upwards.
"""

import json
from typing import IO, Literal

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    formatEventAsClassicLogText,
    formatTime,
)

#: Namespaces whose everyday messages say nothing about the service.
QUIET = ("twisted", "txtorcon", "log_legacy", "stdout")


def line_as_json(event: LogEvent) -> str:
    """Return the event as one JSON object and a newline: time, level, source, message and, if any, traceback."""
    level = event.get("log_level", LogLevel.info)
    record = {
        "time": formatTime(event.get("log_time")),
        "level": level.name,
        "source": event.get("log_namespace", ""),
        "message": formatEvent(event),
    }
    if "log_failure" in event:
        record["traceback"] = event["log_failure"].getTraceback()
    return json.dumps(record, ensure_ascii=False) + "\n"


def observer(stream: IO[str], form: Literal["text", "json"], level: str) -> ILogObserver:
    """
    Return an observer that writes to ``stream`` what is at or above ``level``.

    ``level``: debug, info, warn, error or critical.
    """
    write = FileLogObserver(stream, line_as_json if form == "json" else formatEventAsClassicLogText)
    lowest = LogLevel.levelWithName(level)
    predicate = LogLevelFilterPredicate(defaultLogLevel=lowest)
    for namespace in QUIET:
        predicate.setLogLevelForNamespace(namespace, max(lowest, LogLevel.warn, key=_severity))
    return FilteringLogObserver(write, [predicate])


def _severity(level: object) -> int:
    return list(LogLevel.iterconstants()).index(level)
