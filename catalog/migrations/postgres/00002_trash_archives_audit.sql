-- +goose Up

-- The trash: a deleted asset keeps all its versions until it is purged.

ALTER TABLE assets ADD COLUMN deleted_by TEXT COLLATE "C";
CREATE INDEX assets_trash ON assets (instance_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX assets_deleted ON assets (deleted_at, id) WHERE deleted_at IS NOT NULL;

-- Blobs that a sweep is about to remove. removing_until is set while the object is being deleted.

ALTER TABLE blobs ADD COLUMN condemned_at TIMESTAMPTZ;
ALTER TABLE blobs ADD COLUMN removing_until TIMESTAMPTZ;

-- What exports made. delivered is JSON: the byte ranges that reached a client, as pairs of from and to.

CREATE TABLE archives (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id  TEXT COLLATE "C" NOT NULL,
    instance_id TEXT COLLATE "C" NOT NULL,
    job_id      TEXT COLLATE "C" NOT NULL UNIQUE,
    user_id     TEXT COLLATE "C" NOT NULL,
    file_name   TEXT NOT NULL,
    sha256      TEXT COLLATE "C" NOT NULL,
    size        BIGINT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    expires_at  TIMESTAMPTZ NOT NULL,
    taken_at    TIMESTAMPTZ,
    delivered   TEXT
);

-- Requests with an idempotency key. claimed_at is when the key was first used, renewed_at when its claim was last held.

CREATE TABLE submissions (
    user_id     TEXT COLLATE "C" NOT NULL,
    key         TEXT COLLATE "C" NOT NULL,
    fingerprint TEXT COLLATE "C" NOT NULL,
    job_id      TEXT COLLATE "C" NOT NULL,
    answered    BOOLEAN NOT NULL DEFAULT FALSE,
    status      INTEGER NOT NULL DEFAULT 0,
    header      BYTEA,
    body        BYTEA,
    takeovers   INTEGER NOT NULL DEFAULT 0,
    claimed_at  TIMESTAMPTZ NOT NULL,
    renewed_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX submissions_claimed ON submissions (claimed_at);

-- Who did what. It outlives what it names, so it refers to nothing, and it is only ever added to.

CREATE TABLE audit_entries (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at            TIMESTAMPTZ NOT NULL,
    actor_id      TEXT COLLATE "C" NOT NULL,
    actor_name    TEXT COLLATE "C" NOT NULL,
    action        TEXT COLLATE "C" NOT NULL,
    project_id    TEXT COLLATE "C" NOT NULL,
    instance_id   TEXT COLLATE "C" NOT NULL,
    resource_kind TEXT COLLATE "C" NOT NULL,
    resource_id   TEXT COLLATE "C" NOT NULL,
    details       TEXT
);
CREATE INDEX audit_entries_at ON audit_entries (at, id);
CREATE INDEX audit_entries_project ON audit_entries (project_id, at, id);
CREATE INDEX audit_entries_actor ON audit_entries (actor_id, at, id);
CREATE INDEX audit_entries_resource ON audit_entries (resource_id, at, id);

-- +goose StatementBegin
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append only';
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
