-- SPDX-License-Identifier: Apache-2.0
--
-- What a kind of import is about beside its place (a group policy, an occasion): that kind's own to read. '' for nothing.
ALTER TABLE import ADD COLUMN about @text NOT NULL DEFAULT '';
