-- +goose Up

-- People, and where they may do what.

CREATE TABLE domains (
    id   TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE users (
    id               TEXT NOT NULL PRIMARY KEY,
    domain_id        TEXT NOT NULL REFERENCES domains (id),
    name             TEXT NOT NULL,
    password_hash    TEXT NOT NULL,
    token_generation INTEGER NOT NULL DEFAULT 0,
    created_at       TEXT NOT NULL,
    disabled_at      TEXT,
    UNIQUE (domain_id, name)
) STRICT;

CREATE TABLE access_keys (
    id            TEXT NOT NULL PRIMARY KEY,
    user_id       TEXT NOT NULL REFERENCES users (id),
    sealed_secret BLOB NOT NULL,
    created_at    TEXT NOT NULL,
    revoked_at    TEXT,
    failures      INTEGER NOT NULL DEFAULT 0,
    locked_until  TEXT
) STRICT;
CREATE INDEX access_keys_user ON access_keys (user_id, created_at, id);

CREATE TABLE projects (
    id         TEXT NOT NULL PRIMARY KEY,
    domain_id  TEXT NOT NULL REFERENCES domains (id),
    name       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (domain_id, name)
) STRICT;

CREATE TABLE instances (
    id         TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    name       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (project_id, name),
    UNIQUE (id, project_id) -- what assets and data sources refer to, so that their project is always their instance's
) STRICT;

CREATE TABLE role_assignments (
    user_id    TEXT NOT NULL REFERENCES users (id),
    project_id TEXT NOT NULL REFERENCES projects (id),
    role       TEXT NOT NULL,
    PRIMARY KEY (user_id, project_id, role)
) STRICT, WITHOUT ROWID;

-- Jobs. They are history and outlive what they name, so they refer to nothing.

CREATE TABLE jobs (
    id          TEXT NOT NULL PRIMARY KEY,
    kind        TEXT NOT NULL,
    project_id  TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    subject     TEXT NOT NULL,
    state       TEXT NOT NULL,
    request     TEXT,
    reasons     TEXT,
    created_at  TEXT NOT NULL,
    ended_at    TEXT,
    settled     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX jobs_project ON jobs (project_id, created_at, id);
CREATE INDEX jobs_user ON jobs (project_id, user_id, created_at, id);
CREATE INDEX jobs_running ON jobs (project_id, user_id, kind) WHERE state = 'running';
CREATE INDEX jobs_unsettled ON jobs (created_at, id) WHERE NOT settled;

-- A job's row in here says that its effect was committed, and with which result: that is what makes it exactly once.
CREATE TABLE job_effects (
    job_id     TEXT NOT NULL PRIMARY KEY REFERENCES jobs (id),
    result     TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

-- What is stored, by digest. stored_at is null while nothing committed has used the blob.

CREATE TABLE blobs (
    sha256     TEXT NOT NULL PRIMARY KEY,
    size       INTEGER NOT NULL,
    touched_at TEXT NOT NULL,
    stored_at  TEXT
) STRICT, WITHOUT ROWID;

-- Assets of every kind. Versions and all that hangs on them are only ever added.

CREATE TABLE assets (
    id             TEXT NOT NULL PRIMARY KEY,
    project_id     TEXT NOT NULL REFERENCES projects (id),
    instance_id    TEXT, -- null for kinds that belong to a project as a whole
    kind           TEXT NOT NULL,
    name           TEXT NOT NULL,
    version_number INTEGER NOT NULL, -- the current version
    created_at     TEXT NOT NULL,
    deleted_at     TEXT,
    FOREIGN KEY (instance_id, project_id) REFERENCES instances (id, project_id),
    FOREIGN KEY (id, version_number) REFERENCES asset_versions (asset_id, number) DEFERRABLE INITIALLY DEFERRED
) STRICT;
-- The partial index keeps names unique and carries the listing.
CREATE UNIQUE INDEX assets_name ON assets (instance_id, kind, name) WHERE deleted_at IS NULL;

CREATE TABLE asset_versions (
    asset_id    TEXT NOT NULL REFERENCES assets (id),
    number      INTEGER NOT NULL,
    label       TEXT NOT NULL,
    source_id   TEXT NOT NULL,
    description TEXT NOT NULL,
    definition  TEXT,
    digest      TEXT NOT NULL,
    created_by  TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    PRIMARY KEY (asset_id, number)
) STRICT;

CREATE TABLE version_files (
    asset_id       TEXT NOT NULL,
    version_number INTEGER NOT NULL,
    path           TEXT NOT NULL,
    sha256         TEXT NOT NULL REFERENCES blobs (sha256), -- a blob in use cannot be forgotten
    size           INTEGER NOT NULL,
    PRIMARY KEY (asset_id, version_number, path),
    FOREIGN KEY (asset_id, version_number) REFERENCES asset_versions (asset_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX version_files_blob ON version_files (sha256);

CREATE TABLE version_applications (
    asset_id       TEXT NOT NULL,
    version_number INTEGER NOT NULL,
    application_id TEXT NOT NULL REFERENCES assets (id),
    PRIMARY KEY (asset_id, version_number, application_id),
    FOREIGN KEY (asset_id, version_number) REFERENCES asset_versions (asset_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX version_applications_application ON version_applications (application_id);

CREATE TABLE data_sources (
    id          TEXT NOT NULL PRIMARY KEY,
    project_id  TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    name        TEXT NOT NULL,
    type        TEXT NOT NULL,
    description TEXT NOT NULL,
    settings    TEXT,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    UNIQUE (instance_id, name),
    FOREIGN KEY (instance_id, project_id) REFERENCES instances (id, project_id)
) STRICT;

CREATE TABLE version_data_sources (
    asset_id       TEXT NOT NULL,
    version_number INTEGER NOT NULL,
    data_source_id TEXT NOT NULL REFERENCES data_sources (id),
    PRIMARY KEY (asset_id, version_number, data_source_id),
    FOREIGN KEY (asset_id, version_number) REFERENCES asset_versions (asset_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX version_data_sources_source ON version_data_sources (data_source_id);
