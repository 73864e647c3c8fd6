package middleware

import "github.com/google/uuid"

// JobID reads a job's id as callers write it, 32 hex digits or a UUID in its usual form, whatever the case. It gives
// the form the service uses inside, the UUID in lower case.
func JobID(text string) (id string, ok bool) {
	if len(text) != 32 && len(text) != 36 { // uuid.Parse takes further forms
		return "", false
	}
	parsed, err := uuid.Parse(text)
	if err != nil {
		return "", false
	}
	return parsed.String(), true
}
