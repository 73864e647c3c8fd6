package catalog

import (
	"fmt"
	"time"

	"github.com/uptrace/bun/schema"
)

// stampLayout has a fixed width, so that SQLite, which keeps times as text, sorts them right.
const stampLayout = "2006-01-02 15:04:05.000000-07:00"

// stamp is a time as the database keeps it: UTC, whole microseconds. The zero stamp is null.
type stamp struct{ at time.Time }

// now is the present as it will be read back.
func now() stamp { return stampOf(time.Now()) }

func stampOf(t time.Time) stamp {
	if t.IsZero() {
		return stamp{}
	}
	return stamp{t.UTC().Truncate(time.Microsecond)}
}

// IsZero tells bun to write null.
func (s stamp) IsZero() bool { return s.at.IsZero() }

// pointer gives nil for null.
func (s stamp) pointer() *time.Time {
	if s.IsZero() {
		return nil
	}
	t := s.at
	return &t
}

// AppendQuery writes the stamp into a statement.
func (s stamp) AppendQuery(_ schema.QueryGen, b []byte) ([]byte, error) {
	if s.IsZero() {
		return append(b, "NULL"...), nil
	}
	b = append(b, '\'')
	b = s.at.AppendFormat(b, stampLayout)
	return append(b, '\''), nil
}

// Scan reads what either database gives.
func (s *stamp) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*s = stamp{}
	case time.Time:
		*s = stampOf(v)
	case string:
		t, err := time.Parse(stampLayout, v)
		if err != nil {
			return fmt.Errorf("read a time: %w", err)
		}
		*s = stampOf(t)
	default:
		return fmt.Errorf("read a time: unexpected %T", src)
	}
	return nil
}
