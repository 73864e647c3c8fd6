package config

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

const wantCertificates = "certificates in PEM form"

func setCertificates(text *string, v string) error {
	*text = v
	if certificates(v) == nil {
		return errors.New("not certificates")
	}
	return nil
}

// certificates reads a text of PEM certificates, and nothing else than those; nil for any other text.
func certificates(v string) []*x509.Certificate {
	var all []*x509.Certificate
	for rest := []byte(v); len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break // what follows the last certificate is a comment, as what stands between them
		}
		if block.Type != "CERTIFICATE" {
			return nil
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil
		}
		all = append(all, c)
	}
	return all
}

// showCertificates says whose certificates they are and until when they are good.
func showCertificates(v string) string {
	all := certificates(v)
	names := make([]string, 0, len(all))
	for _, c := range all {
		names = append(names, fmt.Sprintf("%s (until %s)", c.Subject, c.NotAfter.UTC().Format(time.DateOnly)))
	}
	return strings.Join(names, "; ")
}

func privateKey(v string) error {
	block, _ := pem.Decode([]byte(v))
	if block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") || strings.HasPrefix(block.Type, "ENCRYPTED") {
		return errors.New("not a private key")
	}
	return nil
}
