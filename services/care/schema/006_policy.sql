-- SPDX-License-Identifier: Apache-2.0
--
-- Insurance: yearly group policies, who is insured, what insurers paid. Figures are counted from these rows.

CREATE TABLE policy_group (
        id @text NOT NULL PRIMARY KEY,
        organization @text NOT NULL,
        path @text NOT NULL,            -- of the organisation, as the projection has it now
        title @text NOT NULL,
        insurer @text NOT NULL,
        start_date @text NOT NULL,      -- the first day and the last
        end_date @text NOT NULL,
        premium @int NOT NULL,          -- fen a person
        purpose @text NOT NULL,
        created_us @int NOT NULL
) @clustered;
CREATE INDEX policy_group_path ON policy_group (path, id);
CREATE INDEX policy_group_organization ON policy_group (organization);

-- A person is insured once a group, and so is their premium counted.
CREATE TABLE policy (
        id @text NOT NULL PRIMARY KEY,
        policy_group @text NOT NULL REFERENCES policy_group (id),
        recipient @text NOT NULL,
        created_us @int NOT NULL
) @clustered;
CREATE UNIQUE INDEX policy_of_group ON policy (policy_group, recipient);
CREATE INDEX policy_of_recipient ON policy (recipient, policy_group);

CREATE TABLE payout (
        case_id @text NOT NULL,
        reference @text NOT NULL,       -- the insurer's
        policy @text NOT NULL REFERENCES policy (id),
        policy_group @text NOT NULL,    -- the policy's
        amount @int NOT NULL,           -- fen
        paid_date @text NOT NULL,
        created_us @int NOT NULL,
        PRIMARY KEY (case_id, reference)
) @clustered;
CREATE INDEX payout_of_group ON payout (policy_group, case_id, amount);
