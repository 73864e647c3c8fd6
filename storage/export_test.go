package storage

import "time"

// SetGrace lets requests in flight go on for longer, before any is made.
func SetGrace(d time.Duration) { grace = d }
