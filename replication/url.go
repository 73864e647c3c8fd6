package replication

import "net/url"

// maxURL is the longest URL that is taken, in bytes.
const maxURL = 8 << 10

// isWebURL tells whether the text is an absolute http or https URL without a user.
func isWebURL(text string) bool {
	if len(text) > maxURL {
		return false
	}
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil && u.Fragment == ""
}
