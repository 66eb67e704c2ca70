-- SPDX-License-Identifier: Apache-2.0
--
-- Webhooks: an agency's addresses, their secrets, and what was sent to them. States are the contract's numbers. Times are
-- microseconds UTC; 0 stands for none.

CREATE TABLE webhook_endpoint (
        id @text NOT NULL PRIMARY KEY,
        agency @text NOT NULL,
        url @text NOT NULL,
        types @text NOT NULL,           -- with a blank in between; '': all that the agency may see
        state @int NOT NULL,
        reason @text NOT NULL,          -- why it is paused or disabled
        position @int NOT NULL,         -- up to here all is delivered, dead, or not for it
        hand @int NOT NULL,             -- the event that attempts were made for; 0: the handshake
        attempts @int NOT NULL,         -- made for it, without success
        next_us @int NOT NULL,          -- not before
        allowed_us @int NOT NULL,       -- when it agreed to be sent events; 0: it has not been asked, or has not agreed
        allowed_rate @int NOT NULL,     -- how many a minute; 0: any number
        redrive_next @int NOT NULL,     -- what is sent once more, from here …
        redrive_through @int NOT NULL,  -- … to here, before what is still to come; 0: nothing
        dead @text NOT NULL,            -- the events that were never sent, of which the next delivery tells
        deliveries @int NOT NULL,       -- the newest id in webhook_delivery
        created_us @int NOT NULL,
        updated_us @int NOT NULL,
        revision @int NOT NULL
) @clustered;
CREATE INDEX webhook_endpoint_agency ON webhook_endpoint (agency, id);

CREATE TABLE webhook_secret (
        endpoint @text NOT NULL,
        id @text NOT NULL,
        sealed @bytes NOT NULL,         -- by the keyring
        created_us @int NOT NULL,
        expires_us @int NOT NULL,       -- 0: the one in use
        PRIMARY KEY (endpoint, id)
) @clustered;

-- One row an attempt: the newest of each endpoint, and besides the newest of what was never sent.
CREATE TABLE webhook_delivery (
        endpoint @text NOT NULL,
        id @int NOT NULL,
        seq @int NOT NULL,              -- 0: the handshake
        event @text NOT NULL,
        attempt @int NOT NULL,
        time_us @int NOT NULL,
        status @int NOT NULL,           -- 0: no answer came
        error @text NOT NULL,
        took_us @int NOT NULL,
        dead @int NOT NULL,
        PRIMARY KEY (endpoint, id)
) @clustered;
CREATE INDEX webhook_delivery_dead ON webhook_delivery (endpoint, id) WHERE dead = 1;
