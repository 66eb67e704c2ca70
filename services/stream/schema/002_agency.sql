-- SPDX-License-Identifier: Apache-2.0
--
-- Agencies, their keys and how far they have come; and what decides, beside their agreements, what they see: to what
-- persons consent, who has been erased. Lists are texts, an item a line. Times are microseconds UTC; 0 stands for none.

CREATE TABLE agency (
        id @text NOT NULL PRIMARY KEY,
        name @text NOT NULL,
        purposes @text NOT NULL,
        statutory @text NOT NULL,       -- purposes for which nobody is asked
        types @text NOT NULL,
        organizations @text NOT NULL,
        privacy @int NOT NULL,          -- a nuanxin.Privacy: the highest class
        withheld @text NOT NULL,
        agreement @text NOT NULL,
        agreement_expire_us @int NOT NULL,
        suspended @int NOT NULL,
        created_us @int NOT NULL,
        updated_us @int NOT NULL,
        revision @int NOT NULL          -- of all that is known of it, its keys and its organisations' places among it
) @clustered;

-- To find the agencies at an organisation that was changed.
CREATE TABLE agency_organization (
        organization @text NOT NULL,
        agency @text NOT NULL REFERENCES agency (id),
        PRIMARY KEY (organization, agency)
) @clustered;

CREATE TABLE agency_key (
        id @text NOT NULL PRIMARY KEY,
        agency @text NOT NULL REFERENCES agency (id),
        kind @int NOT NULL,             -- nuanxin.stream.v1.AgencyKey.Kind
        value @text NOT NULL,           -- CURVE: the public half; API: the whole key's SHA-256. Never used twice
        created_us @int NOT NULL,
        revoked_us @int NOT NULL
) @clustered;
CREATE UNIQUE INDEX agency_key_value ON agency_key (value);
CREATE INDEX agency_key_agency ON agency_key (agency, id);

-- What holds of a person now: a row for each purpose to which the person consents; one with the purpose '' says that the
-- person has been erased.
CREATE TABLE standing (
        person_hash @int NOT NULL,      -- as the log has it
        person @text NOT NULL,
        purpose @text NOT NULL,
        seq @int NOT NULL,              -- the event that said so
        PRIMARY KEY (person_hash, person, purpose)
) @clustered;

-- Of whom that has changed, and where in the log, for those who keep any of it in memory. Of old ones nobody asks.
CREATE TABLE standing_change (
        seq @int PRIMARY KEY,
        person @text NOT NULL,          -- '': of all, as their source began anew
        erased @int NOT NULL
) @strict;

-- The notices to delete what is held of a person, with all the paths at which the log ever told of that person: who may
-- have learnt of it there must be told, wherever the person is now.
CREATE TABLE notice (
        seq @int PRIMARY KEY,
        type @text NOT NULL,
        purpose @text NOT NULL,         -- '': of whatever purpose
        places @text NOT NULL
) @strict;

-- How far an agency has come, by what it has acknowledged.
CREATE TABLE subscriber (
        agency @text NOT NULL REFERENCES agency (id),
        transport @text NOT NULL,
        position @int NOT NULL,
        seen_us @int NOT NULL,
        PRIMARY KEY (agency, transport)
) @clustered;

-- The notices that an agency has acknowledged.
CREATE TABLE receipt (
        agency @text NOT NULL REFERENCES agency (id),
        notice @int NOT NULL,
        acknowledged_us @int NOT NULL,
        PRIMARY KEY (agency, notice)
) @clustered;
CREATE TABLE receipt_mark (
        agency @text NOT NULL PRIMARY KEY REFERENCES agency (id),
        seq @int NOT NULL,              -- notices up to here are reckoned with
        receipts @int NOT NULL          -- so many rows of the table above
) @clustered;
