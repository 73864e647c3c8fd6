-- +goose Up

-- Jobs that wait until those before them of the same workflow id have ended. start is JSON: how to start the workflow.

CREATE TABLE queued_jobs (
    number      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    job_id      TEXT NOT NULL UNIQUE REFERENCES jobs (id) ON DELETE CASCADE,
    workflow_id TEXT NOT NULL,
    replaces    INTEGER NOT NULL,
    start       TEXT NOT NULL
) STRICT;
CREATE INDEX queued_jobs_turn ON queued_jobs (workflow_id, replaces, number);
