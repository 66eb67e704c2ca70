-- SPDX-License-Identifier: Apache-2.0
--
-- Programmes as versioned documents, which never change once they are here, and the official calendars of working days.

CREATE TABLE programme (
        id @text NOT NULL PRIMARY KEY,
        organization @text NOT NULL,    -- that runs it
        current_version @int NOT NULL,  -- of new cases; 0: none was activated
        last_version @int NOT NULL
) @clustered;

CREATE TABLE programme_version (
        programme @text NOT NULL REFERENCES programme (id),
        version @int NOT NULL,
        hash @text NOT NULL,            -- SHA-256 of the document: the same one is not there twice
        document @bytes NOT NULL,       -- a ProgrammeDocument
        created_us @int NOT NULL,
        activated_us @int NOT NULL,     -- the last time; 0: a draft
        PRIMARY KEY (programme, version),
        UNIQUE (programme, hash)
) @strict;

CREATE TABLE work_calendar (
        year @int NOT NULL PRIMARY KEY,
        calendar @bytes NOT NULL,       -- a WorkCalendar
        updated_us @int NOT NULL
) @strict;
