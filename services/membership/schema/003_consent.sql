-- SPDX-License-Identifier: Apache-2.0
--
-- Consents: one row a giving, kept after it was withdrawn or another version took its place, until the person is erased.

CREATE TABLE consent (
        member @text NOT NULL REFERENCES member (id),
        purpose @text NOT NULL,
        giving @int NOT NULL,           -- 1, 2, …: of this member for this purpose
        version @text NOT NULL,         -- of the text that was agreed to
        given @int NOT NULL,
        ended @int,                     -- withdrawn, or another version took its place; NULL: it holds
        PRIMARY KEY (member, purpose, giving)
) @clustered;
-- For a purpose one holds at most.
CREATE UNIQUE INDEX consent_that_holds ON consent (member, purpose) WHERE ended IS NULL;
