-- +goose Up

-- People, and where they may do what.

CREATE TABLE domains (
    id   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE users (
    id               TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    domain_id        TEXT COLLATE "C" NOT NULL REFERENCES domains (id),
    name             TEXT COLLATE "C" NOT NULL,
    password_hash    TEXT NOT NULL,
    token_generation BIGINT NOT NULL DEFAULT 0,
    created_at       TIMESTAMPTZ NOT NULL,
    disabled_at      TIMESTAMPTZ,
    UNIQUE (domain_id, name)
);

CREATE TABLE access_keys (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id       TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    sealed_secret BYTEA NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    revoked_at    TIMESTAMPTZ,
    failures      INTEGER NOT NULL DEFAULT 0,
    locked_until  TIMESTAMPTZ
);
CREATE INDEX access_keys_user ON access_keys (user_id, created_at, id);

CREATE TABLE projects (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    domain_id  TEXT COLLATE "C" NOT NULL REFERENCES domains (id),
    name       TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE instances (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    name       TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE (project_id, name),
    UNIQUE (id, project_id) -- what assets and data sources refer to, so that their project is always their instance's
);

CREATE TABLE role_assignments (
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    role       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, project_id, role)
);

-- Jobs. They are history and outlive what they name, so they refer to nothing.

CREATE TABLE jobs (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind        TEXT COLLATE "C" NOT NULL,
    project_id  TEXT COLLATE "C" NOT NULL,
    instance_id TEXT COLLATE "C" NOT NULL,
    user_id     TEXT COLLATE "C" NOT NULL,
    workflow_id TEXT COLLATE "C" NOT NULL,
    subject     TEXT NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    request     TEXT,
    reasons     TEXT,
    created_at  TIMESTAMPTZ NOT NULL,
    ended_at    TIMESTAMPTZ,
    settled     BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX jobs_project ON jobs (project_id, created_at, id);
CREATE INDEX jobs_user ON jobs (project_id, user_id, created_at, id);
CREATE INDEX jobs_running ON jobs (project_id, user_id, kind) WHERE state = 'running';
CREATE INDEX jobs_unsettled ON jobs (created_at, id) WHERE NOT settled;

-- A job's row in here says that its effect was committed, and with which result: that is what makes it exactly once.
CREATE TABLE job_effects (
    job_id     TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES jobs (id),
    result     TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

-- What is stored, by digest. stored_at is null while nothing committed has used the blob.

CREATE TABLE blobs (
    sha256     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    size       BIGINT NOT NULL,
    touched_at TIMESTAMPTZ NOT NULL,
    stored_at  TIMESTAMPTZ
);

-- Assets of every kind. Versions and all that hangs on them are only ever added.

CREATE TABLE assets (
    id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id     TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    instance_id    TEXT COLLATE "C", -- null for kinds that belong to a project as a whole
    kind           TEXT COLLATE "C" NOT NULL,
    name           TEXT COLLATE "C" NOT NULL,
    version_number INTEGER NOT NULL, -- the current version
    created_at     TIMESTAMPTZ NOT NULL,
    deleted_at     TIMESTAMPTZ,
    FOREIGN KEY (instance_id, project_id) REFERENCES instances (id, project_id)
);
-- The partial index keeps names unique and carries the listing.
CREATE UNIQUE INDEX assets_name ON assets (instance_id, kind, name) WHERE deleted_at IS NULL;

CREATE TABLE asset_versions (
    asset_id    TEXT COLLATE "C" NOT NULL REFERENCES assets (id),
    number      INTEGER NOT NULL,
    label       TEXT NOT NULL,
    source_id   TEXT NOT NULL,
    description TEXT NOT NULL,
    definition  TEXT,
    digest      TEXT NOT NULL,
    created_by  TEXT COLLATE "C" NOT NULL,
    job_id      TEXT COLLATE "C" NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (asset_id, number)
);

ALTER TABLE assets ADD CONSTRAINT assets_current_version
    FOREIGN KEY (id, version_number) REFERENCES asset_versions (asset_id, number) DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE version_files (
    asset_id       TEXT COLLATE "C" NOT NULL,
    version_number INTEGER NOT NULL,
    path           TEXT COLLATE "C" NOT NULL,
    sha256         TEXT COLLATE "C" NOT NULL REFERENCES blobs (sha256), -- a blob in use cannot be forgotten
    size           BIGINT NOT NULL,
    PRIMARY KEY (asset_id, version_number, path),
    FOREIGN KEY (asset_id, version_number) REFERENCES asset_versions (asset_id, number)
);
CREATE INDEX version_files_blob ON version_files (sha256);

CREATE TABLE version_applications (
    asset_id       TEXT COLLATE "C" NOT NULL,
    version_number INTEGER NOT NULL,
    application_id TEXT COLLATE "C" NOT NULL REFERENCES assets (id),
    PRIMARY KEY (asset_id, version_number, application_id),
    FOREIGN KEY (asset_id, version_number) REFERENCES asset_versions (asset_id, number)
);
CREATE INDEX version_applications_application ON version_applications (application_id);

CREATE TABLE data_sources (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id  TEXT COLLATE "C" NOT NULL,
    instance_id TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    type        TEXT NOT NULL,
    description TEXT NOT NULL,
    settings    TEXT,
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL,
    job_id      TEXT COLLATE "C" NOT NULL,
    UNIQUE (instance_id, name),
    FOREIGN KEY (instance_id, project_id) REFERENCES instances (id, project_id)
);

CREATE TABLE version_data_sources (
    asset_id       TEXT COLLATE "C" NOT NULL,
    version_number INTEGER NOT NULL,
    data_source_id TEXT COLLATE "C" NOT NULL REFERENCES data_sources (id),
    PRIMARY KEY (asset_id, version_number, data_source_id),
    FOREIGN KEY (asset_id, version_number) REFERENCES asset_versions (asset_id, number)
);
CREATE INDEX version_data_sources_source ON version_data_sources (data_source_id);
