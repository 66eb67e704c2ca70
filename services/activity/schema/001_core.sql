-- SPDX-License-Identifier: Apache-2.0
--
-- Campaigns, activities, registrations, attendances; what this service knows of organisations and members (fed by
-- membership's events); and the counts, which follow this service's own events. States, modes, categories and ways
-- are the contract's numbers. Times are microseconds UTC; 0 stands for none.

-- Projections.
CREATE TABLE organization (
        code @text NOT NULL PRIMARY KEY,
        parent @text NOT NULL,          -- '' at the top
        path @text NOT NULL,
        name @text NOT NULL,
        valid_from_us @int NOT NULL,
        valid_to_us @int NOT NULL
) @clustered;
CREATE INDEX organization_parent ON organization (parent, code);

CREATE TABLE member (
        id @text NOT NULL PRIMARY KEY,
        organization @text NOT NULL,
        active @int NOT NULL
) @clustered;

CREATE TABLE campaign (
        id @text NOT NULL PRIMARY KEY,
        organization @text NOT NULL,
        path @text NOT NULL,            -- of the organisation, as the projection has it now
        title @text NOT NULL,
        description @text NOT NULL,
        start_us @int NOT NULL,
        end_us @int NOT NULL,
        state @int NOT NULL,
        closed_us @int NOT NULL,
        created_us @int NOT NULL,
        updated_us @int NOT NULL,
        revision @int NOT NULL
) @clustered;
CREATE INDEX campaign_organization ON campaign (organization);

CREATE TABLE activity (
        id @text NOT NULL PRIMARY KEY,
        campaign @text NOT NULL REFERENCES campaign (id),
        organization @text NOT NULL,
        path @text NOT NULL,            -- of the organisation, as the projection has it now
        title @text NOT NULL,
        description @text NOT NULL,
        category @int NOT NULL,
        mode @int NOT NULL,
        place @text NOT NULL,
        link @text NOT NULL,
        start_us @int NOT NULL,
        end_us @int NOT NULL,
        registration_start_us @int NOT NULL,
        registration_end_us @int NOT NULL,
        capacity @int NOT NULL,
        no_waiting_list @int NOT NULL,
        registration_required @int NOT NULL,
        state @int NOT NULL,
        closed_us @int NOT NULL,
        created_us @int NOT NULL,
        updated_us @int NOT NULL,
        revision @int NOT NULL
) @clustered;
CREATE INDEX activity_path ON activity (path, id);
CREATE INDEX activity_organization ON activity (organization);

-- The places of an activity that has a limit: the one row that its registrations share.
CREATE TABLE seat (
        activity @text NOT NULL PRIMARY KEY REFERENCES activity (id),
        capacity @int NOT NULL,
        taken @int NOT NULL,
        waiting @int NOT NULL CHECK (waiting >= 0),
        last_position @int NOT NULL,
        CHECK (taken >= 0 AND taken <= capacity)
) @clustered;

CREATE TABLE registration (
        id @text NOT NULL PRIMARY KEY,
        activity @text NOT NULL REFERENCES activity (id),
        member @text NOT NULL,
        organization @text NOT NULL,
        state @int NOT NULL,
        code @text NOT NULL,
        position @int NOT NULL,         -- in the order of arrival; 0 where places are unlimited
        created_us @int NOT NULL,
        changed_us @int NOT NULL,
        UNIQUE (activity, member),
        UNIQUE (activity, code)
) @clustered;
CREATE INDEX registration_order ON registration (activity, position, id);
CREATE INDEX registration_waiting ON registration (activity, position) WHERE state = 2;
CREATE INDEX registration_member ON registration (member, id);

-- One row a person and activity, whatever the number of scans: it keeps the earliest.
CREATE TABLE attendance (
        activity @text NOT NULL,
        member @text NOT NULL,
        id @text NOT NULL,
        organization @text NOT NULL,
        way @int NOT NULL,
        device @text NOT NULL,
        nonce @text NOT NULL,
        occurred_us @int NOT NULL,
        created_us @int NOT NULL,       -- when the scan that it keeps arrived
        amended @int NOT NULL,          -- how often an earlier scan replaced a later one
        previous_organization @text NOT NULL, -- before the last amendment
        previous_way @int NOT NULL,
        PRIMARY KEY (activity, member)
) @clustered;

-- Scans that did not count. The same scan uploaded again is the same row.
CREATE TABLE refused_scan (
        id @text NOT NULL PRIMARY KEY,
        activity @text NOT NULL,
        member @text NOT NULL,          -- '' if it did not show who it was
        organization @text NOT NULL,
        way @int NOT NULL,
        device @text NOT NULL,
        nonce @text NOT NULL,
        occurred_us @int NOT NULL,
        created_us @int NOT NULL,
        reason @int NOT NULL,           -- a nuanxin.Problem
        UNIQUE (activity, device, nonce, occurred_us, member, way, reason)
) @clustered;
CREATE INDEX refused_scan_order ON refused_scan (activity, id);

-- Counts: written only while this service's own events are applied.
CREATE TABLE activity_count (
        activity @text NOT NULL PRIMARY KEY,
        registered @int NOT NULL,
        waiting @int NOT NULL,
        on_site @int NOT NULL,
        online @int NOT NULL
) @clustered;

-- Attendances of the members of an organisation and all below it.
CREATE TABLE campaign_count (
        campaign @text NOT NULL,
        organization @text NOT NULL,
        on_site @int NOT NULL,
        online @int NOT NULL,
        PRIMARY KEY (campaign, organization)
) @clustered;
