CREATE TABLE counters (
    workspace TEXT   NOT NULL,
    scope     TEXT   NOT NULL, -- whose: the workspace's own, a key, a sender
    what      TEXT   NOT NULL, -- requests, tokens, cost
    began     BIGINT NOT NULL, -- Unix milliseconds: where the window began
    used      BIGINT NOT NULL,
    PRIMARY KEY (workspace, scope, what)
);
