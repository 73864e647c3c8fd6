package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

const wantDuration = `a time of at least 1s, such as "90m", "24h" or "30d"`

const day = 24 * time.Hour

func setDuration(d *time.Duration, v string) error {
	parsed, err := parseDuration(v)
	if err == nil && parsed < time.Second {
		err = errors.New("too short")
	}
	*d = parsed
	return err
}

// parseDuration takes whole days, too.
func parseDuration(v string) (time.Duration, error) {
	days, ok := strings.CutSuffix(v, "d")
	if !ok {
		return time.ParseDuration(v)
	}
	n, err := strconv.ParseInt(days, 10, 64)
	if err != nil {
		return 0, err
	}
	if n < 0 || n > int64(math.MaxInt64/day) {
		return 0, errors.New("out of range")
	}
	return time.Duration(n) * day, nil
}

// showDuration writes a time as a person would, without units that are zero.
func showDuration(d time.Duration) string {
	if d > day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
