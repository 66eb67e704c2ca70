-- SPDX-License-Identifier: Apache-2.0
--
-- Cases, what was done and decided in them, and the tasks that they make. What is sealed stands under the recipient's key; of a
-- case of no person, under the keyring. States and kinds are the contract's numbers. Times are microseconds UTC; 0 stands for
-- none.

CREATE TABLE care_case (
        id @text NOT NULL PRIMARY KEY,
        number @text NOT NULL,
        programme @text NOT NULL,
        version @int NOT NULL,
        recipient @text NOT NULL,       -- '': about an organisation, or anonymous
        subject @text NOT NULL,         -- whom or what it is about: the recipient, else the organisation; '': anonymous
        organization @text NOT NULL,    -- that owns it
        path @text NOT NULL,            -- of it, as the projection has it now
        state @int NOT NULL,
        stage @text NOT NULL,
        stage_us @int NOT NULL,
        due_us @int NOT NULL,
        task @text NOT NULL,            -- of the stage; '': there is none
        opened_by @text NOT NULL,
        single @int NOT NULL,           -- 1: no second open one
        consent @int NOT NULL,
        unit @text NOT NULL,
        granted @int NOT NULL,
        reserved @int NOT NULL CHECK (reserved >= 0),
        paid @int NOT NULL CHECK (paid >= 0),
        reserve_us @int NOT NULL,       -- what is reserved is given back then
        decided_level @int NOT NULL,
        deciders @text NOT NULL,        -- who decided, and at which stage, one a line: "village 0190…"
        steps @int NOT NULL,            -- how many there are
        rating @int NOT NULL,
        transfer_to @text NOT NULL,
        previous @text NOT NULL,
        created_us @int NOT NULL,
        closed_us @int NOT NULL,
        revision @int NOT NULL
) @clustered;
CREATE UNIQUE INDEX care_case_number ON care_case (number);
CREATE UNIQUE INDEX care_case_open ON care_case (programme, subject) WHERE single = 1 AND closed_us = 0 AND subject <> '';
CREATE INDEX care_case_subject ON care_case (subject, id);
CREATE INDEX care_case_path ON care_case (path, id);
CREATE INDEX care_case_programme ON care_case (programme, path, id);
CREATE INDEX care_case_organization ON care_case (organization);

-- Its facts and documents, sealed; beside it, since lists do not need them.
CREATE TABLE care_case_sealed (
        case_id @text NOT NULL PRIMARY KEY,
        sealed @bytes NOT NULL
) @clustered;

CREATE TABLE care_step (
        case_id @text NOT NULL,
        n @int NOT NULL,                -- from 1 on
        stage @text NOT NULL,
        action @text NOT NULL,
        actor @text NOT NULL,           -- '': the programme itself
        officer @int NOT NULL,          -- 1: it was a decision
        reason @bytes,                  -- sealed
        time_us @int NOT NULL,
        PRIMARY KEY (case_id, n)
) @clustered;

-- What the rules came to, and what became of it.
CREATE TABLE care_decision (
        id @text NOT NULL PRIMARY KEY,
        case_id @text NOT NULL,
        programme @text NOT NULL,
        version @int NOT NULL,
        recipient @text NOT NULL,
        actor @text NOT NULL,
        amount @int NOT NULL,
        state @int NOT NULL,            -- 0 nothing to give, 1 reserved, 2 given, 3 given back, 4 put up for payment
        pending @text NOT NULL,         -- transfers that set it aside, one a line
        uses @text NOT NULL,            -- what it uses of caps, one a line: holder, cap, period, how much
        day @int NOT NULL,              -- since 1970, in China: for which the rules were asked
        sealed @bytes NOT NULL,         -- facts, uses, outcome
        time_us @int NOT NULL
) @clustered;
CREATE INDEX care_decision_case ON care_decision (case_id, id);

-- What was used of a cap: a bound that decisions share, so it has a row of its own.
CREATE TABLE care_cap_use (
        programme @text NOT NULL,
        holder @text NOT NULL,          -- a recipient, a household, an organisation
        cap @text NOT NULL,
        period @text NOT NULL,          -- its first day; '': ever
        used @int NOT NULL CHECK (used >= 0),
        PRIMARY KEY (programme, holder, cap, period)
) @clustered;

CREATE TABLE care_contact (
        case_id @text NOT NULL,
        role @text NOT NULL,
        account @text NOT NULL,         -- ''; then somebody outside, by name and phone
        name @text NOT NULL,
        phone @text NOT NULL,
        since_us @int NOT NULL,
        PRIMARY KEY (case_id, role)
) @clustered;
CREATE INDEX care_contact_account ON care_contact (account, case_id) WHERE account <> '';

CREATE TABLE care_access (
        case_id @text NOT NULL,
        account @text NOT NULL,
        granted_by @text NOT NULL,
        reason @text NOT NULL,
        expire_us @int NOT NULL,
        PRIMARY KEY (case_id, account)
) @clustered;

CREATE TABLE care_notice (
        id @text NOT NULL PRIMARY KEY,
        case_id @text NOT NULL,
        programme @text NOT NULL,
        title @text NOT NULL,
        title_zh @text NOT NULL,
        organization @text NOT NULL,
        path @text NOT NULL,
        name_masked @text NOT NULL,
        amount @int NOT NULL,
        unit @text NOT NULL,
        start_us @int NOT NULL,
        end_us @int NOT NULL,
        stands @int NOT NULL,           -- 1: now
        stopped_us @int NOT NULL,       -- since when an objection stops it
        left_days @int NOT NULL         -- and how many of its days are left
) @clustered;
CREATE INDEX care_notice_path ON care_notice (path, id) WHERE stands = 1;
CREATE INDEX care_notice_organization ON care_notice (organization);
CREATE INDEX care_notice_case ON care_notice (case_id, id);

CREATE TABLE care_objection (
        id @text NOT NULL PRIMARY KEY,
        notice @text NOT NULL,
        case_id @text NOT NULL,
        sealed @bytes NOT NULL,
        upheld @int NOT NULL,
        created_us @int NOT NULL,
        settled_us @int NOT NULL,
        settled_by @text NOT NULL,
        reason @bytes                   -- sealed
) @clustered;
CREATE INDEX care_objection_case ON care_objection (case_id, id);
CREATE INDEX care_objection_open ON care_objection (notice, id) WHERE settled_us = 0;

CREATE TABLE care_task (
        id @text NOT NULL PRIMARY KEY,
        kind @int NOT NULL,
        case_id @text NOT NULL,
        programme @text NOT NULL,
        stage @text NOT NULL,
        organization @text NOT NULL,    -- on whose worklist it is
        place_path @text NOT NULL,      -- of the organisation on whose worklist it was first
        person @text NOT NULL,
        assignee @text NOT NULL,
        escalations @int NOT NULL,
        created_us @int NOT NULL,
        due_us @int NOT NULL,
        done_us @int NOT NULL,
        note @bytes                     -- sealed
) @clustered;
CREATE INDEX care_task_case ON care_task (case_id, kind) WHERE done_us = 0;

-- An open task stands once on the list of each organisation whose it is and of all above, with all that a list shows: a page is
-- a range of this, and nothing else.
CREATE TABLE care_task_place (
        place @text NOT NULL,
        due_us @int NOT NULL,           -- none: far away
        task @text NOT NULL,
        kind @int NOT NULL,
        case_id @text NOT NULL,
        programme @text NOT NULL,
        stage @text NOT NULL,
        organization @text NOT NULL,
        assignee @text NOT NULL,
        escalations @int NOT NULL,
        created_us @int NOT NULL,
        PRIMARY KEY (place, due_us, task)
) @clustered;
