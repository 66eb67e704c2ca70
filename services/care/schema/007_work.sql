-- SPDX-License-Identifier: Apache-2.0
--
-- Visits, planned and taken place, and assessments. What was noted, and an assessment's values, stand sealed under the
-- recipient's key; of a case of no person, under the keyring. Ways and outcomes are the contract's numbers. Times are
-- microseconds UTC.

CREATE TABLE care_visit (
        id @text NOT NULL PRIMARY KEY,
        subject @text NOT NULL,         -- the case; without one, the recipient
        case_id @text NOT NULL,
        recipient @text NOT NULL,
        organization @text NOT NULL,
        occasion @text NOT NULL,
        at_us @int NOT NULL,            -- when it took place; of a planned one, when it is due
        way @int NOT NULL,
        outcome @int NOT NULL,          -- 0: planned
        note @bytes,                    -- sealed
        account @text NOT NULL,         -- who was there, or has planned it
        device @text NOT NULL,
        nonce @text NOT NULL,
        routine @int NOT NULL,          -- 1: planned by the programme's visit_days
        task @text NOT NULL,            -- of a planned one
        done @int NOT NULL,             -- 1: a planned one that took place
        created_us @int NOT NULL
) @clustered;
CREATE UNIQUE INDEX care_visit_once ON care_visit (subject, device, nonce) WHERE device <> '';
CREATE UNIQUE INDEX care_visit_routine ON care_visit (subject) WHERE routine = 1;
CREATE UNIQUE INDEX care_visit_plan ON care_visit (subject, occasion, at_us) WHERE outcome = 0 AND routine = 0;
CREATE INDEX care_visit_open ON care_visit (subject, at_us, id) WHERE outcome = 0 AND done = 0;
CREATE INDEX care_visit_list ON care_visit (subject, at_us, id) WHERE done = 0;

CREATE TABLE care_assessment (
        id @text NOT NULL PRIMARY KEY,
        case_id @text NOT NULL,
        form @text NOT NULL,
        sealed @bytes NOT NULL,         -- values, and what was found
        account @text NOT NULL,
        created_us @int NOT NULL
) @clustered;
CREATE INDEX care_assessment_case ON care_assessment (case_id, id);
