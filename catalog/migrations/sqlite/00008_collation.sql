-- +goose Up

-- Texts are sorted and compared by their bytes here in any case.

SELECT 1;
