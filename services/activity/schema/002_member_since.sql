-- SPDX-License-Identifier: Apache-2.0
--
-- Since when a membership is active or not: a scan from before the end of it counts, also if it is uploaded after.

ALTER TABLE member ADD COLUMN since_us @int NOT NULL DEFAULT 0; -- 0: since before this was kept
