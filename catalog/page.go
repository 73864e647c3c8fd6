package catalog

import (
	"encoding/base64"
	"encoding/json"

	"assetflow/fault"
)

const (
	defaultPage = 50
	maxPage     = 500
)

func pageSize(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, maxPage)
}

// A cursor is the sort key of the last row of a page, so the next page starts right behind it whatever was added or
// removed meanwhile. Callers see it as an opaque word.

func encodeCursor(key ...string) string {
	b, err := json.Marshal(key)
	if err != nil {
		panic("catalog: strings have no JSON: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// decodeCursor gives the sort key back, of exactly so many parts.
func decodeCursor(cursor string, parts int) ([]string, error) {
	var key []string
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(b, &key)
	}
	if err != nil || len(key) != parts {
		return nil, badCursor()
	}
	return key, nil
}

// A cursor of a list by time.

func encodeTimeCursor(at stamp, id string) string { return encodeCursor(at.at.Format(stampLayout), id) }

func decodeTimeCursor(cursor string) (at stamp, id string, err error) {
	key, err := decodeCursor(cursor, 2)
	if err != nil {
		return stamp{}, "", err
	}
	if at.Scan(key[0]) != nil {
		return stamp{}, "", badCursor()
	}
	return at, key[1], nil
}

func badCursor() error {
	return fault.New(fault.Invalid, "catalog.bad_cursor", "the cursor is not one that a page of this list gave")
}
