-- +goose Up

-- Wrong passwords in a row, as access keys have them.

ALTER TABLE users ADD COLUMN password_failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN password_locked_until TIMESTAMPTZ;
CREATE INDEX users_name ON users (name);

-- What the current version of a service template says, and whether it is the newest of its name. number is what the
-- contract calls it by. Lists look through search, which is in lower case. tags and the like are JSON arrays.

CREATE TABLE service_templates (
    number                  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset_id                TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES assets (id),
    project_id              TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    key_name                TEXT COLLATE "C" NOT NULL,
    display_name            TEXT COLLATE "C" NOT NULL,
    vendor_id               TEXT COLLATE "C" NOT NULL,
    vendor_name             TEXT COLLATE "C" NOT NULL,
    version                 TEXT COLLATE "C" NOT NULL,
    tags                    TEXT NOT NULL,
    description             TEXT COLLATE "C" NOT NULL,
    release_state           TEXT COLLATE "C" NOT NULL,
    latest                  BOOLEAN NOT NULL,
    supported_schedule_type TEXT COLLATE "C" NOT NULL,
    used_services           TEXT NOT NULL,
    used_templates          TEXT NOT NULL,
    search                  TEXT NOT NULL,
    sha256                  TEXT COLLATE "C" NOT NULL,
    size                    BIGINT NOT NULL,
    created_at              TIMESTAMPTZ NOT NULL,
    updated_at              TIMESTAMPTZ NOT NULL
);
CREATE INDEX service_templates_name ON service_templates (project_id, vendor_id, key_name, version);

CREATE TABLE service_template_tags (
    asset_id TEXT COLLATE "C" NOT NULL REFERENCES service_templates (asset_id),
    tag      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (asset_id, tag)
);
