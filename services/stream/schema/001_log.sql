-- SPDX-License-Identifier: Apache-2.0
--
-- The log: every event of every source, in one order, chained; the present state of what it no longer keeps; and the
-- organisations' paths. Times are microseconds UTC; 0 stands for none.

CREATE TABLE log (
        seq @int PRIMARY KEY,           -- without gaps
        person @int,                    -- hash of the id of the person whom it is about; NULL: nobody, or erased
        taken_us @int NOT NULL,         -- when it was taken in
        event @bytes,                   -- nuanxin.stream.v1.StoredEvent, packed; NULL: erased
        salt @bytes NOT NULL,           -- of the leaf; erased: SHA-256(salt, event), which the leaf is made of
        leaf @bytes NOT NULL,           -- SHA-256(SHA-256(person, seq), SHA-256(salt, event)): common/chain/chain.h
        head @bytes NOT NULL,           -- SHA-256(head before, leaf)
        erased_by @int NOT NULL         -- the notice because of which it was erased, or 0
) @strict;
-- By parts of the log: what is taken in touches the few pages of the newest part, however many persons there are.
CREATE INDEX log_person ON log ((seq / 8192), person) WHERE person IS NOT NULL;

-- Where the log ends: no row before the first event. Only who takes events in writes it.
CREATE TABLE log_end (
        id @int PRIMARY KEY CHECK (id = 1),
        seq @int NOT NULL,
        head @bytes NOT NULL,
        bytes @int NOT NULL,            -- of all that was ever taken in
        epoch @text NOT NULL,           -- the store's when something was last taken in,
        begun @int NOT NULL             -- and at which sequence that began
) @strict;

-- Where it begins, and what was signed: no row before that. Only due work writes it.
CREATE TABLE log_mark (
        id @int PRIMARY KEY CHECK (id = 1),
        cut @int NOT NULL,              -- what stands up to here is no longer kept,
        cut_head @bytes NOT NULL,       -- and this was the chain's head there
        freed @int NOT NULL,            -- bytes of what was cut or erased
        epoch @text NOT NULL,           -- of the newest checkpoint
        checkpoint @int NOT NULL,
        checkpoint_us @int NOT NULL
) @strict;

-- Of each type and subject the newest event, among those that the log no longer keeps.
CREATE TABLE log_state (
        type @text NOT NULL,
        subject @text NOT NULL,         -- with what the event's type tells apart besides
        seq @int NOT NULL,
        person @int,
        event @bytes NOT NULL,
        PRIMARY KEY (type, subject)
) @clustered;
CREATE UNIQUE INDEX log_state_seq ON log_state (seq);
CREATE INDEX log_state_person ON log_state (person) WHERE person IS NOT NULL;

-- A projection of membership's.
CREATE TABLE organization (
        code @text NOT NULL PRIMARY KEY,
        path @text NOT NULL
) @clustered;
