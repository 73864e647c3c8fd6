-- +goose Up

-- Jobs that wait until those before them of the same workflow id have ended. start is JSON: how to start the workflow.

CREATE TABLE queued_jobs (
    number      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id      TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES jobs (id) ON DELETE CASCADE,
    workflow_id TEXT COLLATE "C" NOT NULL,
    replaces    BOOLEAN NOT NULL,
    start       TEXT NOT NULL
);
CREATE INDEX queued_jobs_turn ON queued_jobs (workflow_id, replaces, number);
