-- +goose Up

-- These columns can be sorted and compared by; the order is that of the bytes whatever the language of the database.

ALTER TABLE service_templates
    ALTER COLUMN tags TYPE TEXT COLLATE "C",
    ALTER COLUMN used_services TYPE TEXT COLLATE "C",
    ALTER COLUMN used_templates TYPE TEXT COLLATE "C";
