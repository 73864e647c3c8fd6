-- +goose Up

-- The trash: a deleted asset keeps all its versions until it is purged.

ALTER TABLE assets ADD COLUMN deleted_by TEXT;
CREATE INDEX assets_trash ON assets (instance_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX assets_deleted ON assets (deleted_at, id) WHERE deleted_at IS NOT NULL;

-- Blobs that a sweep is about to remove. removing_until is set while the object is being deleted.

ALTER TABLE blobs ADD COLUMN condemned_at TEXT;
ALTER TABLE blobs ADD COLUMN removing_until TEXT;

-- What exports made. delivered is JSON: the byte ranges that reached a client, as pairs of from and to.

CREATE TABLE archives (
    id          TEXT NOT NULL PRIMARY KEY,
    project_id  TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    job_id      TEXT NOT NULL UNIQUE,
    user_id     TEXT NOT NULL,
    file_name   TEXT NOT NULL,
    sha256      TEXT NOT NULL,
    size        INTEGER NOT NULL,
    created_at  TEXT NOT NULL,
    expires_at  TEXT NOT NULL,
    taken_at    TEXT,
    delivered   TEXT
) STRICT;

-- Requests with an idempotency key. claimed_at is when the key was first used, renewed_at when its claim was last held.

CREATE TABLE submissions (
    user_id     TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    answered    INTEGER NOT NULL DEFAULT 0,
    status      INTEGER NOT NULL DEFAULT 0,
    header      BLOB,
    body        BLOB,
    takeovers   INTEGER NOT NULL DEFAULT 0,
    claimed_at  TEXT NOT NULL,
    renewed_at  TEXT NOT NULL,
    PRIMARY KEY (user_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX submissions_claimed ON submissions (claimed_at);

-- Who did what. It outlives what it names, so it refers to nothing, and it is only ever added to.

CREATE TABLE audit_entries (
    id            TEXT NOT NULL PRIMARY KEY,
    at            TEXT NOT NULL,
    actor_id      TEXT NOT NULL,
    actor_name    TEXT NOT NULL,
    action        TEXT NOT NULL,
    project_id    TEXT NOT NULL,
    instance_id   TEXT NOT NULL,
    resource_kind TEXT NOT NULL,
    resource_id   TEXT NOT NULL,
    details       TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_entries_at ON audit_entries (at, id);
CREATE INDEX audit_entries_project ON audit_entries (project_id, at, id);
CREATE INDEX audit_entries_actor ON audit_entries (actor_id, at, id);
CREATE INDEX audit_entries_resource ON audit_entries (resource_id, at, id);

-- +goose StatementBegin
CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is append only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is append only');
END;
-- +goose StatementEnd
