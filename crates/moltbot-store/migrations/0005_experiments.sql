CREATE TABLE experiments (
    workspace  TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    definition TEXT   NOT NULL, -- JSON
    created    BIGINT NOT NULL, -- Unix milliseconds
    PRIMARY KEY (workspace, name)
);

-- What happened in an experiment, in order. One row of a kind for each subject: a row that is told twice is one.
CREATE TABLE experiment_rows (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace TEXT NOT NULL,
    name      TEXT NOT NULL,
    kind      TEXT NOT NULL, -- exposure, outcome, feedback, weights, state
    subject   TEXT NOT NULL, -- the unit, the request …
    body      TEXT NOT NULL, -- JSON
    UNIQUE (workspace, name, kind, subject)
);
CREATE INDEX experiment_rows_subject ON experiment_rows (workspace, kind, subject);
