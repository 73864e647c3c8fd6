package hql

import "time"

// layouts are the spellings of a time that are read; the fraction of a second may have any number of digits, or none.
var layouts = []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700"}

// readTime reads a time of the years 1 to 9999, which databases can hold.
func readTime(text string) (time.Time, bool) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			t = t.UTC()
			return t, t.Year() >= 1 && t.Year() <= 9999
		}
	}
	return time.Time{}, false
}
