# SPDX-License-Identifier: Apache-2.0
"""What splits a stack: a proxy that can fall silent, and an instance that is started beside the runner's own, with other
addresses or in namespaces of its own."""
import os
import signal
import socket
import subprocess
import threading


class Proxy:
    """Passes bytes between whoever connects to `path` and the unix socket `target`. Silent: connections stand, new ones are
    taken, and nothing passes, as on a network that drops everything."""

    def __init__(self, path, target):
        self.path, self.target = path, target
        self.passing = threading.Event()
        self.passing.set()
        self.sockets = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def fall_silent(self):
        self.passing.clear()

    def speak(self):
        self.passing.set()

    def close(self):
        self.passing.set()
        for s in [self.listener, *self.sockets]:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def _accept(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            other = socket.socket(socket.AF_UNIX)
            self.sockets += [one, other]
            threading.Thread(target=self._join, args=(one, other), daemon=True).start()

    def _join(self, one, other):
        self.passing.wait()
        try:
            other.connect(self.target)
        except OSError:
            one.close()
            return
        threading.Thread(target=self._pass, args=(other, one), daemon=True).start()
        self._pass(one, other)

    def _pass(self, source, sink):
        try:
            while data := source.recv(65536):
                self.passing.wait()
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Extra:
    """An instance like the runner's `like`, under another name; options replace its own. wrapper: a command before it.
    program: another build's."""

    def __init__(self, stack, like, name, wrapper=(), program=None, **options):
        with open(f"/proc/{stack.pid(like)}/cmdline") as f:
            words = f.read().split("\0")[:-1]
        words[0] = program or words[0]
        for option, value in {"instance": name, **options}.items():
            if "--" + option in words:
                words[words.index("--" + option) + 1] = value
            else:
                words += ["--" + option, value]
        self.name, self.log = name, os.path.join(stack.var, "log", name + ".log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*wrapper, *words], stdout=log, stderr=log, start_new_session=True,
                                            env={k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")})

    def said(self, text):
        with open(self.log, errors="replace") as f:
            return text in f.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """The whole group, as there may be a wrapper."""
        for s in (signal.SIGCONT, signal.SIGTERM):
            try:
                os.killpg(self.process.pid, s)
            except ProcessLookupError:
                pass
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
