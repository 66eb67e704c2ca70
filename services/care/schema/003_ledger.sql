-- SPDX-License-Identifier: Apache-2.0
--
-- The ledger: funds, accounts, transfers, and the chain over them. Kinds are the contract's numbers. Times are microseconds
-- UTC; 0 stands for none. Nothing but accounts' totals, and paths, is ever changed.

CREATE TABLE fund (
        id @text NOT NULL PRIMARY KEY,
        kind @int NOT NULL,
        title @text NOT NULL,
        organization @text NOT NULL,    -- that received it
        donor @text NOT NULL,           -- as the donor wants to be named
        purposes @text NOT NULL,        -- one a line; '': anything
        unit @text NOT NULL,            -- CNY: fen; else a kind of goods
        created_us @int NOT NULL
) @clustered;

CREATE TABLE fund_consent (
        id @text NOT NULL PRIMARY KEY,
        fund @text NOT NULL REFERENCES fund (id),
        purpose @text NOT NULL,
        reference @text NOT NULL,
        created_us @int NOT NULL,
        UNIQUE (fund, purpose)
) @clustered;

-- An account's totals are the rows that its transfers share, the only ones. What the rules let by, no row may break.
CREATE TABLE ledger_account (
        id @text NOT NULL PRIMARY KEY,
        kind @int NOT NULL,
        fund @text NOT NULL REFERENCES fund (id),
        purpose @text NOT NULL,
        organization @text NOT NULL,
        path @text NOT NULL,            -- of the organisation, as the projection has it now
        programme @text NOT NULL,
        unit @text NOT NULL,
        created_us @int NOT NULL,
        credits_posted @int NOT NULL CHECK (credits_posted >= 0),
        credits_pending @int NOT NULL CHECK (credits_pending >= 0),
        debits_posted @int NOT NULL CHECK (debits_posted >= 0),
        debits_pending @int NOT NULL CHECK (debits_pending >= 0),
        version @int NOT NULL,          -- how many transfers name it
        changed_us @int NOT NULL,
        UNIQUE (fund, kind, purpose, organization, programme),
        CHECK (kind = 1 OR credits_posted - debits_posted - debits_pending >= 0)
) @clustered;
CREATE INDEX ledger_account_path ON ledger_account (path, id);
CREATE INDEX ledger_account_organization ON ledger_account (organization, purpose);

-- A row for each transfer, with its number in both accounts and their totals after it. That its accounts exist is checked by
-- whoever writes it, and by the verification: a foreign key would lock them a second time.
CREATE TABLE ledger_transfer (
        id @text NOT NULL PRIMARY KEY,
        kind @int NOT NULL,
        debit @text NOT NULL,
        credit @text NOT NULL,
        amount @int NOT NULL CHECK (amount > 0),
        of_id @text,                    -- of POST, VOID and REVERSAL
        reason @text NOT NULL,
        case_id @text NOT NULL,
        actor @text NOT NULL,
        expire_us @int NOT NULL,
        created_us @int NOT NULL,       -- in no account earlier than the row before
        debit_number @int NOT NULL,
        debit_credits_posted @int NOT NULL,
        debit_credits_pending @int NOT NULL,
        debit_debits_posted @int NOT NULL,
        debit_debits_pending @int NOT NULL,
        credit_number @int NOT NULL,
        credit_credits_posted @int NOT NULL,
        credit_credits_pending @int NOT NULL,
        credit_debits_posted @int NOT NULL,
        credit_debits_pending @int NOT NULL
) @clustered;
CREATE UNIQUE INDEX ledger_transfer_debit ON ledger_transfer (debit, debit_number);
CREATE UNIQUE INDEX ledger_transfer_credit ON ledger_transfer (credit, credit_number);
-- What is settled is settled once.
CREATE UNIQUE INDEX ledger_transfer_of ON ledger_transfer (of_id) WHERE of_id IS NOT NULL;

-- The chain: written only while this service's own events are applied.
CREATE TABLE ledger_chain (
        seq @int PRIMARY KEY,           -- without gaps
        thing @int NOT NULL,            -- 1: a transfer, 2: an account's terms, 3: a fund, 4: a consent
        id @text NOT NULL,
        leaf @bytes NOT NULL,           -- SHA-256(what stands there)
        head @bytes NOT NULL            -- SHA-256(head before, leaf)
) @strict;

-- Where it ends: no row before the first.
CREATE TABLE ledger_end (
        id @int PRIMARY KEY CHECK (id = 1),
        seq @int NOT NULL,
        head @bytes NOT NULL,
        epoch @text NOT NULL,           -- the store's when something was last chained,
        begun @int NOT NULL             -- and after which row that began
) @strict;

-- And what of it was signed. Only due work writes it.
CREATE TABLE ledger_mark (
        id @int PRIMARY KEY CHECK (id = 1),
        epoch @text NOT NULL,
        checkpoint @int NOT NULL,
        checkpoint_us @int NOT NULL
) @strict;
