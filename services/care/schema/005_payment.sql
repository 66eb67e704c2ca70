-- SPDX-License-Identifier: Apache-2.0
--
-- What is to be paid, the batches in which it goes to the bank, what everybody may read of what was paid, and figures. States
-- are the contract's numbers. Times are microseconds UTC; 0 stands for none.

CREATE TABLE care_payment (
        id @text NOT NULL PRIMARY KEY,
        number @text NOT NULL,          -- as the bank knows it
        case_id @text NOT NULL,
        decision @text NOT NULL,        -- whose reservation it pays
        programme @text NOT NULL,
        recipient @text NOT NULL,       -- '': of a case about an organisation
        payee @text NOT NULL,           -- which that is
        organization @text NOT NULL,    -- that pays
        path @text NOT NULL,            -- of it, as the projection has it now
        amount @int NOT NULL CHECK (amount > 0),
        pending @text NOT NULL,         -- transfers that set it aside, one a line
        approvers @text NOT NULL,       -- accounts that approved it, one a line: none of them may make its batch
        state @int NOT NULL,
        batch @text NOT NULL,           -- the last that it was in
        bank_account_masked @text NOT NULL,
        bank_reason @text NOT NULL,
        created_us @int NOT NULL,
        paid_us @int NOT NULL
) @clustered;
CREATE UNIQUE INDEX care_payment_number ON care_payment (number);
CREATE INDEX care_payment_case ON care_payment (case_id, id);
CREATE INDEX care_payment_path ON care_payment (path, id);
CREATE INDEX care_payment_state ON care_payment (state, path, id);
CREATE INDEX care_payment_organization ON care_payment (organization, state, id);
CREATE INDEX care_payment_recipient ON care_payment (recipient) WHERE recipient <> '';
CREATE INDEX care_payment_batch_of ON care_payment (batch) WHERE batch <> '';

CREATE TABLE care_payment_batch (
        id @text NOT NULL PRIMARY KEY,
        organization @text NOT NULL,
        path @text NOT NULL,            -- of it, as the projection has it now
        programme @text NOT NULL,       -- '': of all
        state @int NOT NULL,
        payments @int NOT NULL,
        amount @int NOT NULL,
        unanswered @int NOT NULL CHECK (unanswered >= 0), -- neither paid nor returned
        created_us @int NOT NULL,
        made_by @text NOT NULL
) @clustered;
CREATE INDEX care_payment_batch_organization ON care_payment_batch (organization);

-- A payment in a batch: what came of it there stays, also when it goes out once more in another.
CREATE TABLE care_payment_line (
        batch @text NOT NULL,
        number @text NOT NULL,
        payment @text NOT NULL,
        amount @int NOT NULL,
        state @int NOT NULL,            -- of the payment, as far as this batch goes
        PRIMARY KEY (batch, number)
) @clustered;

-- What was given of a fund: a row for each transfer that was set aside for it. Whom it was for is asked where it is shown.
CREATE TABLE care_disclosure (
        fund @text NOT NULL,
        pending @text NOT NULL,
        programme @text NOT NULL,
        organization @text NOT NULL,    -- that gave it
        recipient @text NOT NULL,       -- '': an organisation
        payee @text NOT NULL,           -- which that is
        amount @int NOT NULL,
        unit @text NOT NULL,
        day @text NOT NULL,             -- in China
        PRIMARY KEY (fund, pending)
) @clustered;
CREATE INDEX care_disclosure_place ON care_disclosure (fund, programme, organization, recipient, payee);

-- Cases and money of a programme in a year at an organisation and those below it: written only while this service's own events
-- are applied.
CREATE TABLE care_figure (
        programme @text NOT NULL,
        year @int NOT NULL,
        organization @text NOT NULL,
        opened @int NOT NULL,           -- cases, as the next three
        granted @int NOT NULL,
        refused @int NOT NULL,
        paid @int NOT NULL,
        amount @int NOT NULL,           -- paid, in fen
        PRIMARY KEY (programme, year, organization)
) @clustered;

-- A case counts once in a year in each of them.
CREATE TABLE care_figure_case (
        case_id @text NOT NULL,
        year @int NOT NULL,
        what @int NOT NULL,             -- 1 opened, 2 granted, 3 refused, 4 paid
        PRIMARY KEY (case_id, year, what)
) @clustered;
CREATE INDEX organization_parent ON organization (parent, code);
