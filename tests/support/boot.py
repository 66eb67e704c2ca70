# SPDX-License-Identifier: Apache-2.0
"""systemd as process 1 of namespaces of its own, over a copy-on-write view of this machine: what it changes is gone after.

    text, why_not = boot(prepare="…shell, with $R the root it will have…", command=["/path/program", …])

`command` runs there as root once basic.target is reached; its output is `text`, and the boot ends with it. Where this
machine does not allow that (not root, no namespaces, no overlay, no cgroups of its own), why_not says so.
"""
import contextlib
import glob
import os
import shlex
import shutil
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

INNER = r"""
set -e
trap 'echo "no boot: line $LINENO: $BASH_COMMAND" >&2' ERR
ip link set lo up
mount --make-rprivate /
mount -t tmpfs none "$AT"
mkdir "$AT"/up "$AT"/work "$AT"/root "$AT"/result
R="$AT"/root
mount -t overlay overlay -o lowerdir=/,upperdir="$AT"/up,workdir="$AT"/work "$R"
mount -t proc proc "$R"/proc
mount -t sysfs -o ro sysfs "$R"/sys
if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
        mount -t cgroup2 cgroup2 "$R"/sys/fs/cgroup
else
        mount -t tmpfs none "$R"/sys/fs/cgroup
        mkdir "$R"/sys/fs/cgroup/systemd "$R"/sys/fs/cgroup/unified
        mount -t cgroup -o none,name=systemd,xattr cgroup "$R"/sys/fs/cgroup/systemd
        mount -t cgroup2 cgroup2 "$R"/sys/fs/cgroup/unified
fi
mount --rbind /dev "$R"/dev
mount -t tmpfs -o mode=755 none "$R"/run
mount -t tmpfs none "$R"/tmp
# What stands on another device, or where there is another /tmp now; never to be written: a boot clears /tmp.
if [ "$(stat -c %d "$SOURCE")" != "$(stat -c %d /)" ] || [ ! -e "$R$SOURCE" ]; then
        mkdir -p "$R$SOURCE"
        mount --bind -o ro "$SOURCE" "$R$SOURCE"
fi
rm -rf "$R"/etc/systemd/system
mkdir -p "$R"/etc/systemd/system "$R"/mnt
cat >"$R"/etc/systemd/system/the-test.target <<X
[Unit]
Requires=basic.target the-test.service
After=basic.target
X
cat >"$R"/etc/systemd/system/the-test.service <<X
[Unit]
After=basic.target
Requires=basic.target
[Service]
Type=oneshot
TimeoutStartSec=$SECONDS_AT_MOST
StandardOutput=file:/the-test/out
StandardError=inherit
ExecStart=$COMMAND
ExecStopPost=/bin/sh -c 'systemctl exit 0'
X
eval "$PREPARE"
mkdir "$R"/the-test
mount --bind "$RESULT" "$R"/the-test
cd "$R"
pivot_root . mnt
umount -l /mnt
mount --make-rshared /
export container=nuanxin
chroot . unshare --user true  # Debian's units ask for it (PrivateUsers=); not where all this stands in a chroot
exec chroot . /lib/systemd/systemd --system --unit=the-test.target --log-target=null --show-status=0
"""


def cgroups():
    """Where a group of ours goes: of the unified hierarchy, or of systemd's own beside it."""
    if os.path.exists("/sys/fs/cgroup/cgroup.procs"):
        return ["/sys/fs/cgroup"]
    return [p for p in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified") if os.path.exists(p)]


def remove_group(path):
    """Once its processes are gone, which the kernel ends with their process 1."""
    for _ in range(100):
        for d in sorted(glob.glob(path + "/**/", recursive=True), reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(d)
        if not os.path.exists(path):
            return
        time.sleep(0.02)


def boot(prepare, command, seconds=120):
    if os.getuid() != 0:
        return "", "only root can boot"
    if not shutil.which("unshare") or not os.path.exists("/lib/systemd/systemd"):
        return "", "systemd or unshare is not installed"
    groups = [os.path.join(p, f"nuanxin-test-{os.getpid()}") for p in cgroups()]
    at, result = (tempfile.mkdtemp(prefix="nxb", dir="/tmp") for _ in range(2))
    try:
        for g in groups:
            os.mkdir(g)
        enter = "".join(f"echo $$ >{g}/cgroup.procs; " for g in groups)
        shell = "set -e; " + enter + "exec unshare --mount --pid --uts --ipc --cgroup --net --fork --kill-child bash -c " + shlex.quote(INNER)
        r = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=seconds,
                           env={"PATH": os.environ["PATH"], "AT": at, "SOURCE": ROOT, "PREPARE": prepare, "RESULT": result,
                                "COMMAND": " ".join(command), "SECONDS_AT_MOST": str(seconds)})
        said = (r.stdout + r.stderr)[-500:]
    except subprocess.TimeoutExpired:
        said = f"not done within {seconds} s"
    except OSError as e:
        said = str(e)
    try:
        with open(os.path.join(result, "out")) as f:
            return f.read(), None
    except OSError:
        return "", "systemd does not boot here: " + said
    finally:
        for g in groups:
            remove_group(g)
        for path in (at, result):
            shutil.rmtree(path, ignore_errors=True)
