package automation

import (
	"net/http"
	"strconv"
	"strings"

	"assetflow/fault"
)

// checkAccept refuses a request whose header Accept leaves out a media type, such as "text/html".
func checkAccept(r *http.Request, mediaType string) error {
	if accepts(strings.Join(r.Header.Values("Accept"), ","), mediaType) {
		return nil
	}
	return fault.New(fault.Invalid, codeNotAcceptable, "The answer is of the type %s, which the header Accept leaves out.", mediaType)
}

// accepts reads the header by RFC 9110: the range that says most about the type decides, and q=0 leaves it out. An empty
// header accepts everything.
func accepts(header, mediaType string) bool {
	if strings.TrimSpace(header) == "" {
		return true
	}
	family, _, _ := strings.Cut(mediaType, "/")
	accepted, precision := false, 0
	for item := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(item, ";")
		says := 0
		switch strings.ToLower(strings.TrimSpace(name)) {
		case mediaType:
			says = 3
		case family + "/*":
			says = 2
		case "*/*":
			says = 1
		}
		if says > precision {
			accepted, precision = quality(parameters) > 0, says
		}
	}
	return accepted
}

// quality reads the parameter q; 1 where there is none that can be read.
func quality(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		if q, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
			return q
		}
	}
	return 1
}
