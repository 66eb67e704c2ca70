-- SPDX-License-Identifier: Apache-2.0
--
-- What common/rpc keeps in every service's store, written in the same transactions as the service's own state.

-- Stored answers: a request with a key that was seen gets the first one's answer again. The key stands first, since
-- the gateway's keys grow with time: their rows are appended side by side and swept from the front.
CREATE TABLE rpc_answer (
  key        @text NOT NULL,
  principal  @text NOT NULL, -- "account:…"
  method     @int  NOT NULL, -- the contract's id
  request    @int  NOT NULL, -- hash of the payload: another one with the same key is refused
  problem    @int  NOT NULL, -- 0: an answer, else a refusal
  payload    @bytes,         -- sealed by the keyring; NULL: the answer holds a secret and was not kept
  expires_us @int  NOT NULL,
  PRIMARY KEY (key, principal, method)
) @clustered;

-- Who did what, accepted or refused. Never trimmed, no personal data: ids, codes and names of methods.
CREATE TABLE rpc_audit (
  seq          @int  PRIMARY KEY, -- given by the writer, without gaps
  time_us      @int  NOT NULL,
  principal    @text NOT NULL,
  client       @text NOT NULL, -- the app backend through which the principal acted, or ''
  method       @text NOT NULL,
  subject      @text NOT NULL,
  organization @text NOT NULL,
  outcome      @text NOT NULL, -- 'ok' or the problem's name
  purpose      @text NOT NULL, -- why SENSITIVE data was revealed, or ''
  trace        @text NOT NULL
) @strict;

-- Events, in the order of their commit. The last row is never trimmed: it holds the position.
CREATE TABLE rpc_outbox (
  seq          @int   PRIMARY KEY, -- given by the writer, without gaps
  id           @text  NOT NULL,
  type         @text  NOT NULL,
  subject      @text  NOT NULL,
  organization @text  NOT NULL,
  time_us      @int   NOT NULL,
  data         @bytes NOT NULL
) @strict;

-- The history that the outbox's positions belong to. After a restore from a backup, delete the row: the next writer
-- makes a new one, and every consumer begins again with a snapshot.
CREATE TABLE rpc_epoch (
  id    @int  PRIMARY KEY CHECK (id = 1),
  epoch @text NOT NULL
) @strict;

-- How far the consumers of this outbox have come, as their pulls say: trimming waits for the slowest, within a limit.
CREATE TABLE rpc_reader (
  name     @text NOT NULL PRIMARY KEY,
  position @int  NOT NULL,
  seen_us  @int  NOT NULL
) @strict;

-- How far this service has followed other outboxes (and its own), written with the effect of the events.
CREATE TABLE rpc_cursor (
  name     @text NOT NULL PRIMARY KEY,
  epoch    @text NOT NULL,
  position @int  NOT NULL,
  topic    @int  NOT NULL, -- while a snapshot is loaded: which of the consumer's topics; else -1
  key      @text NOT NULL  -- and after which key
) @strict;

-- Work that falls due.
CREATE TABLE rpc_due (
  kind     @text  NOT NULL,
  key      @text  NOT NULL,
  at_us    @int   NOT NULL,
  payload  @bytes NOT NULL,
  attempts @int   NOT NULL,
  PRIMARY KEY (kind, key)
) @clustered;
CREATE INDEX rpc_due_at ON rpc_due (at_us);
