CREATE TABLE kv (
    workspace TEXT NOT NULL,
    skill     TEXT NOT NULL,
    key       TEXT NOT NULL,
    value     TEXT NOT NULL, -- JSON
    PRIMARY KEY (workspace, skill, key)
);
