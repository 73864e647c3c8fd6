package temporal

import (
	"errors"
	"fmt"
	"net"
	"runtime"
)

// reservePort finds a port when addr has none and checks that the address can be listened on. The error of a taken one
// wraps syscall.EADDRINUSE. The server opens its listeners itself, from port numbers, so the port is free again when
// this returns.
func reservePort(addr *net.TCPAddr) (*net.TCPAddr, error) {
	listener, err := net.ListenTCP("tcp", addr)
	if err != nil {
		return nil, err
	}
	free, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil, errors.Join(fmt.Errorf("not a TCP address: %s", listener.Addr()), listener.Close())
	}
	if addr.Port == 0 && runtime.GOOS == "linux" && !addr.IP.IsUnspecified() {
		// Linux hands out free ports at random and could give this one to somebody else before the server listens
		// on it. A connection in TIME_WAIT keeps it from being handed out, and does not keep Go (SO_REUSEADDR) from
		// listening on it.
		err = leaveTimeWait(listener, free)
	}
	return free, errors.Join(err, listener.Close())
}

// leaveTimeWait connects to the listener and closes the accepted side first.
func leaveTimeWait(listener *net.TCPListener, addr *net.TCPAddr) error {
	dialled, err := net.DialTCP("tcp", nil, addr)
	if err != nil {
		return fmt.Errorf("reserve port %d: %w", addr.Port, err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		return errors.Join(fmt.Errorf("reserve port %d: %w", addr.Port, err), dialled.Close())
	}
	return errors.Join(accepted.Close(), dialled.Close())
}
