//go:build !linux

package prodstack

import "syscall"

// dependent makes a child that a Ctrl-C in the terminal does not reach: we end the processes in their order.
func dependent(syscall.Signal) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
