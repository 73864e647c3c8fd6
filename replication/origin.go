package replication

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// origin gives scheme, host and port of a URL in one form, so that two can be compared.
func origin(u *url.URL) string {
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + "://" + net.JoinHostPort(strings.TrimSuffix(host, "."), port)
}

// allowList is the origins that may be fetched from.
type allowList map[string]struct{}

func newAllowList(sources []string) (allowList, error) {
	list := allowList{}
	for _, text := range sources {
		u, err := url.Parse(text)
		if err != nil || !isWebURL(text) || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return nil, fmt.Errorf("source %q is not a URL of the form scheme://host[:port]", text)
		}
		list[origin(u)] = struct{}{}
	}
	return list, nil
}

// allows tells whether the URL may be fetched from.
func (l allowList) allows(text string) bool {
	u, err := url.Parse(text)
	if err != nil || !isWebURL(text) {
		return false
	}
	_, ok := l[origin(u)]
	return ok
}
