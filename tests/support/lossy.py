# SPDX-License-Identifier: Apache-2.0
"""What a power cut could have left of a folder: reads the record of tests/fault/lossy.c.

    disk = Disk(folder, work)         # folder: watched; work: another folder, for the record
    env = disk.environment(so)        # for the process (or processes) under test
    disk.set(operations=50)           # be killed at the 50th; room=0: disk full; syncs=3: the fourth fails
    …                                 # the processes run, and end or are killed
    lost = disk.cut(random)           # rewrites the folder; how many changes were not there any more

What was synced is there. Of everything else each 512-byte sector, each truncation and each new or removed name is
there or not, by chance.
"""
import mmap
import os
import struct

HEADER = struct.Struct("<cxHIqq")
SECTOR = 512
NEVER = -1


class Disk:
    def __init__(self, folder, work):
        self.folder = os.path.realpath(folder)
        self.journal = os.path.join(os.path.realpath(work), "journal")
        self.faults = os.path.join(os.path.realpath(work), "faults")
        with open(self.faults, "wb") as f:
            f.write(struct.pack("<qqq", NEVER, NEVER, NEVER))
        self.begin()

    def environment(self, shared_object, base=None):
        env = dict(os.environ if base is None else base)
        env.update(LD_PRELOAD=os.path.abspath(shared_object), LOSSY_FOLDER=self.folder, LOSSY_JOURNAL=self.journal,
                   LOSSY_FAULTS=self.faults)
        return env

    def set(self, room=NEVER, syncs=NEVER, operations=NEVER):
        """Takes effect at once, in running processes too."""
        with open(self.faults, "r+b") as f, mmap.mmap(f.fileno(), 24) as m:
            m[:] = struct.pack("<qqq", room, syncs, operations)

    def begin(self):
        """What is in the folder now is on the disk; the record starts anew."""
        self.base = {}
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if os.path.isfile(path) and not name.endswith(("-shm", ".lock")):
                with open(path, "rb") as f:
                    self.base[name] = f.read()
        open(self.journal, "wb").close()

    def _records(self):
        with open(self.journal, "rb") as f:
            data = f.read()
        at = 0
        while at + HEADER.size <= len(data):
            kind, name_length, data_length, offset, _pid = HEADER.unpack_from(data, at)
            at += HEADER.size
            if at + name_length + data_length > len(data):
                break  # killed while it wrote: the operation itself never happened
            name = data[at:at + name_length].decode()
            at += name_length
            yield kind.decode(), name, offset, data[at:at + data_length]
            at += data_length

    def cut(self, random):
        files = {name: _File(content, named=True) for name, content in self.base.items()}
        names, begun, n = [], {}, 0  # names: made or removed since the folder was last synced
        for n, (kind, name, at, data) in enumerate(self._records()):
            if kind == "B":
                begun[at] = n
            elif kind == "S" and name == ".":
                for name_of_one in [x for x, when in names if when < begun[at]]:
                    if name_of_one in files:
                        files[name_of_one].named = True
                        files[name_of_one].removal = None
                names = [x for x in names if x[1] >= begun[at]]
            else:
                if name not in files:
                    files[name] = _File(b"", named=False)
                    names.append((name, n))
                if kind == "S":
                    files[name].sync(begun[at])
                elif kind == "U":
                    files[name] = _File(b"", named=False, removal=files[name])
                    names.append((name, n))
                else:
                    files[name].pending.append((n, kind, at, data))
        keep = random.choice((0.0, 0.5, 0.5, 0.9, 1.0))
        lost = 0
        for name in os.listdir(self.folder):
            if name not in files and not name.endswith(".lock"):
                os.unlink(os.path.join(self.folder, name))
        for name, file in files.items():
            path = os.path.join(self.folder, name)
            if file.removal and random.random() >= keep:
                file = file.removal  # the name was not yet removed
            if not file.named and random.random() >= keep:
                lost += 1
                if os.path.exists(path):
                    os.unlink(path)
                continue
            content, lost_here = file.after_cut(random, keep)
            lost += lost_here
            with open(path, "wb") as f:
                f.write(content)
        self.set()
        self.begin()
        return lost


class _File:
    def __init__(self, content, named, removal=None):
        self.durable = bytearray(content)
        self.pending = []
        self.named = named
        self.removal = removal

    def sync(self, begun):
        for n, kind, at, data in self.pending:
            if n < begun:
                _apply(self.durable, kind, at, data)
        self.pending = [p for p in self.pending if p[0] >= begun]

    def after_cut(self, random, keep):
        content, lost = self.durable, 0
        for _n, kind, at, data in self.pending:
            if kind == "T":
                pieces = [(at, data)]
            else:
                first = SECTOR - at % SECTOR
                cuts = [0] + list(range(first, len(data), SECTOR)) + [len(data)]
                pieces = [(at + a, data[a:b]) for a, b in zip(cuts, cuts[1:]) if b > a]
            for offset, piece in pieces:
                if random.random() < keep:
                    _apply(content, kind, offset, piece)
                else:
                    lost += 1
        return content, lost


def _apply(content, kind, at, data):
    if kind == "T":
        if at < len(content):
            del content[at:]
        else:
            content.extend(bytes(at - len(content)))
    else:
        if len(content) < at:
            content.extend(bytes(at - len(content)))
        content[at:at + len(data)] = data
