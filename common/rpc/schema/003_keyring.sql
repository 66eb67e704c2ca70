-- SPDX-License-Identifier: Apache-2.0
--
-- Which keyring seals what is in this store: a sum under its index key, which stays the same when keys are rotated.
-- The first writer notes it; a process with another keyring does not start, since neither could read the other's data.
CREATE TABLE rpc_keyring (
  id   @int   PRIMARY KEY CHECK (id = 1),
  mark @bytes NOT NULL
) @strict;
