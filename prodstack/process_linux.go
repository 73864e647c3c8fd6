package prodstack

import "syscall"

// dependent makes a child that gets the signal when we end, however that comes. A Ctrl-C in the terminal is for us alone:
// we end the processes in their order.
func dependent(stop syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: stop, Setpgid: true}
}
