-- +goose Up

-- Digital assets belong to a project: their rows in assets name no instance.

CREATE UNIQUE INDEX assets_project_name ON assets (project_id, kind, name) WHERE instance_id IS NULL AND deleted_at IS NULL;

-- What the current version says of a digital asset, and where it stands. copy_job_id is the copy that began last;
-- copying is set until that one has ended.

CREATE TABLE digital_assets (
    asset_id    TEXT NOT NULL PRIMARY KEY REFERENCES assets (id),
    project_id  TEXT NOT NULL REFERENCES projects (id),
    type        TEXT NOT NULL,
    position    INTEGER NOT NULL,
    metadata    TEXT NOT NULL, -- JSON
    state       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    copy_job_id TEXT NOT NULL,
    copying     INTEGER NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL
) STRICT;
CREATE INDEX digital_assets_created ON digital_assets (project_id, created_at, asset_id);
CREATE INDEX digital_assets_updated ON digital_assets (project_id, updated_at, asset_id);
CREATE INDEX digital_assets_position ON digital_assets (project_id, position, asset_id);
CREATE INDEX digital_assets_copying ON digital_assets (copy_job_id) WHERE copying;

CREATE TABLE digital_tags (
    asset_id TEXT NOT NULL REFERENCES digital_assets (asset_id),
    tag      TEXT NOT NULL,
    PRIMARY KEY (asset_id, tag)
) STRICT, WITHOUT ROWID;

-- The files of the current version, and those that are still to come or never came.

CREATE TABLE digital_files (
    id         TEXT NOT NULL PRIMARY KEY,
    asset_id   TEXT NOT NULL REFERENCES digital_assets (asset_id),
    project_id TEXT NOT NULL,
    name       TEXT NOT NULL,
    md5        TEXT NOT NULL,
    type       TEXT NOT NULL,
    category   TEXT NOT NULL,
    size       INTEGER NOT NULL,
    state      TEXT NOT NULL,
    sha256     TEXT NOT NULL, -- empty before it is stored
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX digital_files_asset ON digital_files (asset_id, created_at, id);
