-- SPDX-License-Identifier: Apache-2.0
--
-- Since when a member is in the state: what the card shows that was used before is not touched by what came after.

ALTER TABLE member ADD COLUMN state_since @int NOT NULL DEFAULT 0; -- 0: since before this was kept
