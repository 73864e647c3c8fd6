package middleware

import (
	"context"
	"net"
	"syscall"
	"time"
)

// slowestLook is how often a connection with bytes on their way is looked at, at the least.
const slowestLook = 50 * time.Millisecond

type connectionKey struct{}

// WithConnection remembers the connection that requests come in on, for Arrived. It is an http.Server's ConnContext.
func WithConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// Arrived waits until the client's machine has acknowledged every byte that was sent to it. It says false where the
// client has reset the connection, or where nothing has moved for patience.
//
// Writing an answer says little of its arrival: the kernel takes megabytes before the first has left. What the client's
// kernel holds and its program has not read counts as arrived. Where nothing is known of the connection, all of it does:
// on other systems than Linux, and behind a proxy, which answers for itself.
func Arrived(ctx context.Context, patience time.Duration) bool {
	conn, ok := ctx.Value(connectionKey{}).(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return true
	}
	pause, last, moved := time.Millisecond, int32(-1), time.Now()
	for {
		left, broken := sendQueue(raw)
		switch {
		case broken:
			return false
		case left == 0:
			return true
		case left != last:
			last, moved, pause = left, time.Now(), time.Millisecond
		case time.Since(moved) > patience:
			return false
		}
		<-time.After(pause)
		pause = min(slowestLook, 2*pause)
	}
}
