CREATE TABLE inbox (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of arrival
    workspace TEXT NOT NULL,
    channel   TEXT NOT NULL,
    id        TEXT NOT NULL,
    event     TEXT,
    lane      TEXT NOT NULL,
    body      TEXT NOT NULL, -- JSON; empty once it is ended
    at        INTEGER NOT NULL,
    trace     TEXT NOT NULL,
    held      INTEGER NOT NULL, -- ended as it came
    outcome   TEXT, -- NULL while it waits
    answer    TEXT
);
CREATE UNIQUE INDEX inbox_id ON inbox (workspace, channel, id);
CREATE UNIQUE INDEX inbox_event ON inbox (workspace, channel, event) WHERE event IS NOT NULL;
CREATE INDEX inbox_waiting ON inbox (workspace, channel, seq) WHERE outcome IS NULL;
CREATE INDEX inbox_at ON inbox (at);

CREATE TABLE outbox (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of preparation
    id        TEXT NOT NULL UNIQUE, -- also the idempotency key
    workspace TEXT NOT NULL,
    channel   TEXT NOT NULL,
    lane      TEXT NOT NULL,
    recipient TEXT NOT NULL,
    body      TEXT NOT NULL, -- JSON
    trace     TEXT NOT NULL,
    state     TEXT NOT NULL,
    attempts  INTEGER NOT NULL,
    error     TEXT,
    sent      TEXT,
    created   INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    changed   INTEGER NOT NULL
);
CREATE INDEX outbox_open ON outbox (workspace, channel, seq) WHERE state IN ('prepared', 'sending');
CREATE INDEX outbox_changed ON outbox (changed);

CREATE TABLE session (
    key     TEXT PRIMARY KEY,
    model   TEXT,
    touched INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX session_touched ON session (touched);

CREATE TABLE exchange (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    key       TEXT NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    user      TEXT NOT NULL,
    assistant TEXT NOT NULL
);
CREATE INDEX exchange_key ON exchange (key, seq);
