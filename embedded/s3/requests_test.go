package s3

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// A server that runs for months must not remember every connection it ever had.
func TestClosedConnectionsAreForgotten(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	connect := func() net.Conn {
		client, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		defer client.Close()
		conn, err := ln.Accept()
		require.NoError(t, err)
		return conn
	}

	r := newRequests()
	open := connect()
	defer open.Close()
	for range 10 * firstPrune {
		r.begin(open)
		r.done()
		conn := connect()
		r.begin(conn)
		r.done()
		require.NoError(t, conn.Close())
	}
	require.LessOrEqual(t, len(r.conns), firstPrune)
	require.Contains(t, r.conns, open)
}
