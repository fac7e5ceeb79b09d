-- One row a call. It makes a call count once however often its row is told, and answers for its request id.
CREATE TABLE ledger (
    request    TEXT    NOT NULL PRIMARY KEY,
    at         BIGINT  NOT NULL, -- Unix milliseconds of the end
    workspace  TEXT    NOT NULL,
    model      TEXT    NOT NULL, -- asked for
    served     TEXT    NOT NULL, -- answered
    key        TEXT    NOT NULL, -- '' where none was asked for
    tokens_in  BIGINT  NOT NULL,
    tokens_out BIGINT  NOT NULL,
    estimated  BOOLEAN NOT NULL,
    cached     BOOLEAN NOT NULL,
    cost_nano  BIGINT  NOT NULL, -- billionths of a US dollar
    status     INTEGER NOT NULL
);
CREATE INDEX ledger_at ON ledger (at);

-- Sums of a day (UTC), grown in the transaction that adds the rows, and kept when those go.
CREATE TABLE ledger_day (
    day        TEXT   NOT NULL,
    workspace  TEXT   NOT NULL,
    model      TEXT   NOT NULL, -- answered
    key        TEXT   NOT NULL,
    calls      BIGINT NOT NULL,
    tokens_in  BIGINT NOT NULL,
    tokens_out BIGINT NOT NULL,
    cost_nano  BIGINT NOT NULL,
    PRIMARY KEY (workspace, day, model, key)
);
