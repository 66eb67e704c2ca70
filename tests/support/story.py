# SPDX-License-Identifier: Apache-2.0
"""A scenario file is a list of stories: functions with a title, run in order, reported as TAP.

A story fails by an exception: use plain assert with a message, or `expect`. Nothing sleeps for luck: `wait_until`
polls a condition with a deadline and says what it waited for.
"""
import datetime
import os
import sys
import time
import traceback

_stories = []


def story(title, only_sqlite=None, missing=None):
    """Marks a function as a story. Stories share the module's fixtures; each must stand by itself.

    only_sqlite: why it cannot be told on PostgreSQL. missing: what this machine lacks for it (see support/npm.py).
    """

    def mark(function):
        if only_sqlite and os.environ.get("NX_STORE") == "postgresql":
            print(f"# skipped on postgresql: {title}: {only_sqlite}", flush=True)
        elif missing:
            print(f"ok - skipped: {title}: {missing}", flush=True)
        else:
            _stories.append((title, function))
        return function

    return mark


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, not {wanted!r}")


def wait_until(what, condition, seconds=30.0, every=0.02):
    """Returns the condition's first true value; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain until {what}")
        time.sleep(every)
        every = min(every * 1.2, max(every, 0.2))  # asked less often in time: what it asks may be rationed


def said_since(started, argument):
    """What the processes of the story's world have logged meanwhile, in order: who failed says why there."""
    began = datetime.datetime.utcfromtimestamp(time.time() - (time.monotonic() - started)).isoformat()
    folders = [os.path.join(a.var, "log") for a in argument if hasattr(a, "var")]
    lines = []
    for path in (os.path.join(f, name) for f in folders if os.path.isdir(f) for name in os.listdir(f)):
        with open(path, errors="replace") as f:
            lines += [(line, os.path.basename(path)) for line in map(str.rstrip, f) if line.startswith("time=") and line[5:] > began]
    return [f"{name}: {line}" for line, name in sorted(lines)][-200:]


def main(setup=None):
    """Runs every story of the file. setup: a context manager whose value each story gets as its argument."""
    failures = 0
    only = sys.argv[1:]

    def run(argument):
        nonlocal failures
        number = 0
        for title, function in _stories:
            if only and not any(word in title or word in function.__name__ for word in only):
                continue
            number += 1
            started = time.monotonic()
            try:
                function(*argument)
                print(f"ok {number} - {title} ({time.monotonic() - started:.1f} s)", flush=True)
            except Exception:
                failures += 1
                for line in traceback.format_exc().splitlines():
                    print("# " + line)
                for line in said_since(started, argument):
                    print("# " + line)
                print(f"not ok {number} - {title}", flush=True)
        print(f"1..{number}", flush=True)

    if setup:
        try:
            with setup as fixture:
                run((fixture,))
        except Exception:
            failures += 1
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            print("not ok - the stack of this file", flush=True)
    else:
        run(())
    sys.exit(1 if failures else 0)
