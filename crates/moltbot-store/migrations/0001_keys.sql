CREATE TABLE keys (
    workspace     TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    digest        BLOB    NOT NULL,
    name          TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    models        TEXT,             -- JSON list of names with globs; NULL is all that the policy allows
    created       BIGINT  NOT NULL, -- this and every time: Unix milliseconds
    expires       BIGINT,
    last_used     BIGINT,
    revoked       BIGINT,
    replaced_by   TEXT,
    overlap_until BIGINT,
    PRIMARY KEY (workspace, id)
);
-- One id is one key, whatever the workspace: a caller shows no workspace.
CREATE UNIQUE INDEX keys_id ON keys (id);
