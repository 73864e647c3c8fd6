//go:build !linux

package middleware

import "syscall"

// sendQueue knows nothing here.
func sendQueue(syscall.RawConn) (left int32, broken bool) { return 0, false }
