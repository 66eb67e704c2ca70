# SPDX-License-Identifier: Apache-2.0
"""What stories of whole stores need: an instance of a service on another store, and the move itself."""
import contextlib
import os
import subprocess
import threading
import time

from .story import wait_until


def command_of(s, name):
    with open(f"/proc/{s.pid(name)}/cmdline") as f:
        return f.read().split("\0")[:-1]


@contextlib.contextmanager
def instance(s, like, name, store):
    """One more instance of a service, beside the runner's, with the options of another but for its store."""
    command = command_of(s, like)
    for option, value in (("--instance", name), ("--store", store)):
        command[command.index(option) + 1] = value
    with open(os.path.join(s.var, "log", name + ".log"), "a") as log:
        p = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield p
        finally:
            p.terminate()
            try:
                p.wait(30)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()


def log_has(s, name, text):
    try:
        with open(os.path.join(s.var, "log", name + ".log"), errors="replace") as f:
            return text in f.read()
    except FileNotFoundError:
        return False


class Move:
    """nuanxin store move, running."""

    def __init__(self, s, service, target, *options):
        self.log = os.path.join(s.folder, f"move-{time.monotonic_ns()}")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([os.path.join(s.bin, "nuanxin"), "--var", s.var, "store", "move", "--json",
                                             "sqlite:" + s.store_file(service), target, *options], stdout=subprocess.PIPE, stderr=log, text=True)

    def said(self):
        with open(self.log) as f:
            return f.read()

    def wait_for(self, text, seconds=60):
        wait_until(f"the move says {text}", lambda: text in self.said() or self.process.poll() is not None, seconds)
        assert text in self.said(), self.said()

    def end(self, seconds=120):
        """(status, answer)"""
        try:
            out, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the move does not end: " + self.said()) from None
        return self.process.returncode, out

    def kill(self):
        self.process.kill()
        self.process.communicate()
        return self.process.returncode


class Gaps:
    """How long nothing at all was acknowledged, at most."""

    def __init__(self, load):
        self.load, self.longest = load, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _watch(self):
        seen, since = len(self.load.acknowledged), time.monotonic()
        while not self._stop.wait(0.002):
            n, now = len(self.load.acknowledged), time.monotonic()
            if n != seen or self.load.exhausted:
                seen, since = n, now
            self.longest = max(self.longest, now - since)
