# SPDX-License-Identifier: Apache-2.0
"""What tests take from npm: the packages that tests/npm/install has put into build/npm, and Node to run them.

    @story("…", missing=npm.missing())
    def reads():
        npm.run("tests/npm/verify.js", stdin=json.dumps(deliveries))
"""
import os
import shutil
import subprocess

from .stack import ROOT

FOLDER = os.path.join(ROOT, "build", "npm")


def missing():
    """Why nothing of npm can be run here; None if it can."""
    if not shutil.which("node"):
        return "Node is not installed"
    if not os.path.exists(os.path.join(FOLDER, "installed")):
        return "npm's packages are not there: tests/npm/install says why"
    return None


def environment():
    return {**os.environ, "NODE_PATH": os.path.join(FOLDER, "node_modules")}


def run(script, *arguments, stdin=None, timeout=60):
    """What a script says."""
    r = subprocess.run(["node", os.path.join(ROOT, script), *arguments], input=stdin, capture_output=True, text=True, timeout=timeout,
                       env=environment())
    assert r.returncode == 0, f"{script}: {r.returncode}\n{r.stdout[-2000:]}{r.stderr[-4000:]}"
    return r.stdout
