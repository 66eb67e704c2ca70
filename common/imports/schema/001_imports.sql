-- SPDX-License-Identifier: Apache-2.0
--
-- Imports by list. membership's first schema file has made these tables already, of the same columns.
CREATE TABLE IF NOT EXISTS import (
        id @text PRIMARY KEY,
        kind @int NOT NULL,             -- struct import_kind's number
        owner @text NOT NULL,           -- the principal
        organization @text NOT NULL,    -- the scope of the rows; '' for none
        validate_only @int NOT NULL,
        state @int NOT NULL,            -- Operation.State
        size @int NOT NULL,             -- bytes received
        utf8 @int NOT NULL,             -- csv_utf8_scan over them
        header @text NOT NULL,          -- which column stands where, once read
        next_offset @int NOT NULL,      -- where the next row starts
        next_row @int NOT NULL,         -- number of the last row done
        total @int NOT NULL,
        accepted @int NOT NULL,
        unchanged @int NOT NULL,
        refused @int NOT NULL,
        created @int NOT NULL,
        ended @int
) @strict;

CREATE TABLE IF NOT EXISTS import_piece (
        import @text NOT NULL REFERENCES import (id),
        start @int NOT NULL,            -- offset of the first byte
        size @int NOT NULL,
        data @bytes NOT NULL,           -- sealed under the keyring
        PRIMARY KEY (import, start)
) @strict;

-- Persons of a file that is only checked, until it is done: who takes nothing cannot see in the store who came before.
CREATE TABLE IF NOT EXISTS import_seen (
        import @text NOT NULL,
        person @bytes NOT NULL,         -- blind index of the ID number
        says @bytes NOT NULL,           -- keyed hash of what the row says of the person
        PRIMARY KEY (import, person)
) @clustered;

CREATE TABLE IF NOT EXISTS import_error (
        import @text NOT NULL REFERENCES import (id),
        row_number @int NOT NULL,
        fault @int NOT NULL,            -- enum import_fault, or the service's own
        column_name @text NOT NULL,
        PRIMARY KEY (import, row_number)
) @clustered;
