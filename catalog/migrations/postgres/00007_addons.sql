-- +goose Up

-- Environments are where add-ons run.

CREATE TABLE environments (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id  TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    name        TEXT COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    deploy_mode TEXT COLLATE "C" NOT NULL,
    vpc_id      TEXT COLLATE "C" NOT NULL,
    labels      TEXT NOT NULL, -- JSON
    creator_id  TEXT COLLATE "C" NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL,
    UNIQUE (project_id, name),
    UNIQUE (id, project_id) -- what add-ons refer to, so that their project is always their environment's
);
CREATE INDEX environments_created ON environments (project_id, created_at, id);

-- The add-on library. precedence is the version without its build metadata, in a form that sorts as versions do: it is
-- what tells the versions of a chart apart, and what finds the newest.

CREATE TABLE charts (
    project_id  TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    name        TEXT COLLATE "C" NOT NULL,
    precedence  TEXT COLLATE "C" NOT NULL,
    version     TEXT COLLATE "C" NOT NULL,
    app_version TEXT NOT NULL,
    description TEXT NOT NULL,
    sha256      TEXT COLLATE "C" NOT NULL REFERENCES blobs (sha256), -- a blob in use cannot be forgotten
    size        BIGINT NOT NULL,
    creator_id  TEXT COLLATE "C" NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (project_id, name, precedence)
);
CREATE INDEX charts_blob ON charts (sha256);

-- A program from before knows nothing of charts, and its sweep would take their blobs. It passes over a blob that cannot be
-- condemned; today's does not try. This can go when no such program runs any more.

-- +goose StatementBegin
CREATE FUNCTION charts_keep_blobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM charts WHERE sha256 = NEW.sha256) THEN
        RETURN NULL; -- the row stays as it is
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER charts_keep_blobs BEFORE UPDATE OF condemned_at ON blobs
    FOR EACH ROW WHEN (NEW.condemned_at IS NOT NULL) EXECUTE FUNCTION charts_keep_blobs();

-- Add-ons. chart is the precedence of the version that the target is known to hold, the last good one, with its revision;
-- job_chart is that of the version that the last job delivers, until it has ended. Neither can be deleted.

CREATE TABLE addons (
    id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id     TEXT COLLATE "C" NOT NULL,
    environment_id TEXT COLLATE "C" NOT NULL,
    name           TEXT COLLATE "C" NOT NULL,
    target_id      TEXT COLLATE "C" NOT NULL,
    cse_id         TEXT COLLATE "C" NOT NULL,
    chart          TEXT COLLATE "C",
    revision       TEXT NOT NULL,
    state          TEXT COLLATE "C" NOT NULL,
    job_id         TEXT COLLATE "C" NOT NULL UNIQUE,
    job_chart      TEXT COLLATE "C",
    created_at     TIMESTAMPTZ NOT NULL,
    updated_at     TIMESTAMPTZ NOT NULL,
    UNIQUE (environment_id, target_id, name),
    FOREIGN KEY (environment_id, project_id) REFERENCES environments (id, project_id),
    FOREIGN KEY (project_id, name, chart) REFERENCES charts (project_id, name, precedence),
    FOREIGN KEY (project_id, name, job_chart) REFERENCES charts (project_id, name, precedence)
);
CREATE INDEX addons_created ON addons (environment_id, created_at, id);
CREATE INDEX addons_chart ON addons (project_id, name);

-- The steps of jobs that keep them.

CREATE TABLE job_tasks (
    job_id     TEXT COLLATE "C" NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    position   BIGINT NOT NULL,
    activity   TEXT COLLATE "C" NOT NULL,
    state      TEXT COLLATE "C" NOT NULL,
    messages   TEXT NOT NULL, -- JSON
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (job_id, position)
);
