-- SPDX-License-Identifier: Apache-2.0
--
-- When an organisation is valid; 0 stands for no limit. What is known already comes once more, from a snapshot.
ALTER TABLE organization ADD COLUMN valid_from_us @int NOT NULL DEFAULT 0;
ALTER TABLE organization ADD COLUMN valid_to_us @int NOT NULL DEFAULT 0;
UPDATE rpc_cursor SET epoch = '', position = 0, topic = 0, key = '' WHERE name = 'activity.membership';
