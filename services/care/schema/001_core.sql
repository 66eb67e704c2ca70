-- SPDX-License-Identifier: Apache-2.0
--
-- What this service knows of organisations, members and accounts (fed by membership's events), and recipients. States and
-- roles are the contract's numbers. Times are microseconds UTC; 0 stands for none.

-- Projections.
CREATE TABLE organization (
        code @text NOT NULL PRIMARY KEY,
        parent @text NOT NULL,          -- '' at the top
        kind @int NOT NULL,             -- 1 province … 5 village
        path @text NOT NULL,            -- "/43/4301/": a subtree is a range of it
        name @text NOT NULL,
        valid_from_us @int NOT NULL,
        valid_to_us @int NOT NULL
) @clustered;

CREATE TABLE member (
        id @text NOT NULL PRIMARY KEY,
        organization @text NOT NULL,
        state @int NOT NULL,            -- membership's Member.State
        erased @int NOT NULL
) @clustered;

-- Those that hold.
CREATE TABLE consent (
        member @text NOT NULL,
        purpose @text NOT NULL,
        version @text NOT NULL,         -- of the text that was agreed to
        given_us @int NOT NULL,
        PRIMARY KEY (member, purpose)
) @clustered;

CREATE TABLE account (
        id @text NOT NULL PRIMARY KEY,
        generation @int NOT NULL,       -- of its rights: what is told late of an earlier one is nothing new
        disabled @int NOT NULL
) @clustered;
CREATE TABLE account_right (
        account @text NOT NULL REFERENCES account (id),
        role @int NOT NULL,
        organization @text NOT NULL,
        PRIMARY KEY (account, role, organization)
) @clustered;

-- What is read often is here, in short rows; what is sealed is beside it.
CREATE TABLE recipient (
        id @text NOT NULL PRIMARY KEY,
        organization @text NOT NULL,
        path @text NOT NULL,            -- of the organisation, as the projection has it now
        member @text NOT NULL,          -- '': none is known
        state @int NOT NULL,
        household @text NOT NULL,
        name @text NOT NULL,
        id_number_masked @text NOT NULL,
        phone_masked @text NOT NULL,
        bank_account_masked @text NOT NULL,
        created_us @int NOT NULL,
        updated_us @int NOT NULL,
        erased_us @int NOT NULL,        -- then id, place, household and state are left here, and no secret
        revision @int NOT NULL
) @clustered;
CREATE INDEX recipient_path ON recipient (path, id);
CREATE INDEX recipient_organization ON recipient (organization);
CREATE INDEX recipient_household ON recipient (household, path, id);
CREATE UNIQUE INDEX recipient_member ON recipient (member) WHERE member <> '';

CREATE TABLE recipient_secret (
        recipient @text PRIMARY KEY REFERENCES recipient (id),
        wrapped_key @bytes NOT NULL,    -- erase it to erase the person; it seals what other tables have of the person, too
        id_number @bytes NOT NULL,      -- sealed, as the rest
        phone @bytes,
        bank_account @bytes,
        special @bytes NOT NULL,
        id_number_index @bytes NOT NULL UNIQUE
) @strict;

-- Those that hold: what is lifted goes.
CREATE TABLE recipient_flag (
        id @text NOT NULL PRIMARY KEY,
        recipient @text NOT NULL REFERENCES recipient (id),
        sealed @bytes NOT NULL,
        until_date @text NOT NULL,      -- the last day; '': no end is known
        created_us @int NOT NULL
) @clustered;
CREATE INDEX recipient_flag_of ON recipient_flag (recipient, id);
