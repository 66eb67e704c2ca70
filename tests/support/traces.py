# SPDX-License-Identifier: Apache-2.0
"""What the processes of a stack have left behind: in their stores, and in any file."""
import os


def stores(s):
    """Every table of every service's store: {(service, table): [row, ...]}."""
    services = ("membership", "activity", "stream", *(["care"] if s.instances.get("care") else []))
    return {(service, table): s.rows(service, f'SELECT * FROM "{table}"') for service in services for table in s.tables(service)}


def files_with(s, secrets):
    """Which file of the stack, of any process, still has one of these: (path, what)."""
    found = []
    for folder, _, names in os.walk(s.var):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    content = f.read()
                found += [(path, what) for what, secret in secrets.items() if secret in content]
    # Of a database server's files a row that is gone leaves when it is vacuumed, and the log when it is recycled.
    for (service, table), rows in stores(s).items() if s.engine == "postgresql" else ():
        content = b"\0".join(v if isinstance(v, bytes) else str(v).encode() for row in rows for v in row)
        found += [(f"{service}: {table}", what) for what, secret in secrets.items() if secret in content]
    return found
