// Package freeport finds addresses for processes that open them themselves, also after they were down for a moment.
package freeport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports of a process that is down for a moment must not be handed out to somebody else: they lie below the range from
// which Linux and others take ports for connections.
const (
	firstPort = 20000
	lastPort  = 32000
	tries     = 100
)

// Addr gives an address on loopback that nobody listens on.
func Addr(ctx context.Context) (string, error) {
	var err error
	for range tries {
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(lastPort-firstPort)) //nolint:gosec // G404: no secret
		var ln net.Listener
		if ln, err = (&net.ListenConfig{}).Listen(ctx, "tcp", addr); err == nil {
			return addr, ln.Close()
		}
	}
	return "", fmt.Errorf("find a free port: %w", err)
}
