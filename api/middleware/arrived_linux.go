package middleware

import (
	"syscall"
	"unsafe"
)

const tcpClose = 7 // the state of a TCP connection that has ended on both sides

// sendQueue gives how many bytes of a connection are not acknowledged, sent or not, and whether they never will be.
func sendQueue(conn syscall.RawConn) (left int32, broken bool) {
	err := conn.Control(func(fd uintptr) {
		// The queue first: a reset empties it, and is then seen in the state.
		_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&left))) // #nosec G103 -- an ioctl
		var state [4]byte                                                                                  // the kernel fills as much of its tcp_info as fits; the first byte is the state
		size := uint32(len(state))
		_, _, failed := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
			uintptr(unsafe.Pointer(&state)), uintptr(unsafe.Pointer(&size)), 0) // #nosec G103 -- a system call
		// A client that closes properly does not end our side.
		broken = failed == 0 && state[0] == tcpClose
	})
	return left, broken || err != nil // an error: we have closed it
}
