-- SPDX-License-Identifier: Apache-2.0
--
-- Organisations, members, accounts, clients, imports, and the counts that follow them.

CREATE TABLE organization (
        code @text NOT NULL PRIMARY KEY,
        parent @text REFERENCES organization (code),
        kind @int NOT NULL,
        name @text NOT NULL,
        path @text NOT NULL UNIQUE,     -- "/43/4301/": a subtree is a range of it
        valid_from @int,
        valid_to @int,
        version @int NOT NULL
) @clustered;
CREATE INDEX organization_children ON organization (parent, path);

-- What is read often is here, in short rows; what is sealed is beside it.
CREATE TABLE member (
        id @text NOT NULL PRIMARY KEY,
        organization @text NOT NULL REFERENCES organization (code),
        state @int NOT NULL,
        name @text NOT NULL,
        number @text UNIQUE,            -- of the card; from approval on
        id_number_masked @text NOT NULL,
        phone_masked @text,
        join_date @text,
        created @int NOT NULL,
        updated @int NOT NULL,
        version @int NOT NULL,
        generation @int NOT NULL,       -- of the member's sessions
        erased @int                     -- when; then id, organisation and state are left here, and no secret
) @clustered;
CREATE INDEX member_by_organization ON member (organization, state, id);
-- Most are ACTIVE: whoever is in another state is found without going through them, and an import writes nothing here.
CREATE INDEX member_by_rare_state ON member (state, organization, id) WHERE state <> 2;
CREATE INDEX member_erased ON member (id) WHERE erased IS NOT NULL;

CREATE TABLE member_secret (
        member @text PRIMARY KEY REFERENCES member (id),
        wrapped_key @bytes NOT NULL,    -- erase it to erase the person
        id_number @bytes NOT NULL,      -- sealed
        phone @bytes,                   -- sealed
        id_number_index @bytes NOT NULL,
        phone_index @bytes,
        live @int NOT NULL              -- 1 until the membership ends
) @strict;
CREATE UNIQUE INDEX member_by_id_number ON member_secret (id_number_index) WHERE live = 1;
CREATE INDEX member_by_phone ON member_secret (phone_index) WHERE phone_index IS NOT NULL;

CREATE TABLE account (
        id @text PRIMARY KEY,
        login @text NOT NULL UNIQUE,
        display_name @text NOT NULL,
        organization @text NOT NULL REFERENCES organization (code),
        password @text NOT NULL,        -- argon2id
        disabled @int NOT NULL,
        generation @int NOT NULL,
        created @int NOT NULL
) @strict;
CREATE INDEX account_by_organization ON account (organization, id);

CREATE TABLE client (
        id @text PRIMARY KEY,
        name @text NOT NULL,
        organization @text NOT NULL REFERENCES organization (code),
        key_hash @text NOT NULL UNIQUE, -- SHA-256 of the API key
        disabled @int NOT NULL,
        generation @int NOT NULL,
        created @int NOT NULL
) @strict;
CREATE INDEX client_by_organization ON client (organization, id);

-- Of accounts and clients; a role holds at the organisation and below.
CREATE TABLE role_grant (
        holder @text NOT NULL,
        role @int NOT NULL,
        organization @text NOT NULL REFERENCES organization (code),
        PRIMARY KEY (holder, role, organization)
) @clustered;

CREATE TABLE import (
        id @text PRIMARY KEY,
        kind @int NOT NULL,             -- enum import_kind
        owner @text NOT NULL,           -- the principal
        organization @text NOT NULL,    -- the scope of members' rows; '' for organisations
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

CREATE TABLE import_piece (
        import @text NOT NULL REFERENCES import (id),
        start @int NOT NULL,            -- offset of the first byte
        size @int NOT NULL,
        data @bytes NOT NULL,           -- sealed under the keyring
        PRIMARY KEY (import, start)
) @strict;

-- Persons of a file that is only checked, until it is done: who takes nothing cannot see in the members who came before.
CREATE TABLE import_seen (
        import @text NOT NULL,
        person @bytes NOT NULL,         -- blind index of the ID number
        says @bytes NOT NULL,           -- keyed hash of what the row says of the person
        PRIMARY KEY (import, person)
) @clustered;

CREATE TABLE import_error (
        import @text NOT NULL REFERENCES import (id),
        row_number @int NOT NULL,
        fault @int NOT NULL,            -- enum row_fault
        column_name @text NOT NULL,
        PRIMARY KEY (import, row_number)
) @clustered;

-- Counts follow the service's own events, in batches. `what` is a member's state, or 100 + an organisation's kind.
CREATE TABLE count_node (
        organization @text PRIMARY KEY,
        path @text NOT NULL
) @clustered;
CREATE TABLE count_own (
        organization @text NOT NULL,
        what @int NOT NULL,
        n @int NOT NULL,
        PRIMARY KEY (organization, what)
) @clustered;
CREATE TABLE count_subtree (
        organization @text NOT NULL,
        what @int NOT NULL,
        n @int NOT NULL,
        PRIMARY KEY (organization, what)
) @clustered;
