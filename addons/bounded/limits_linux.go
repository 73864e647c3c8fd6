package bounded

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// cpuGrace is how long after its limit of processor time the kernel kills a child that has not ended itself.
const cpuGrace = 2 * time.Second

// setLimits has the kernel bound this process.
func setLimits(l Limits) error {
	// Where the machine has no memory left, it is not the parent that shall die.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)

	exceeded := make(chan os.Signal, 1)
	signal.Notify(exceeded, syscall.SIGXCPU)
	go func() {
		<-exceeded
		os.Exit(exitCPU)
	}()
	for _, limit := range []struct {
		name     string
		resource int
		soft     uint64
		hard     uint64
	}{
		// Not RLIMIT_AS: Go reserves much more than it uses. RLIMIT_DATA counts what may be written to.
		{"memory", syscall.RLIMIT_DATA, uint64(l.Memory + slack), uint64(l.Memory + slack)}, //nolint:gosec // not negative
		{"processor time", syscall.RLIMIT_CPU, uint64(l.CPU.Seconds()), uint64((l.CPU + cpuGrace).Seconds())},
		{"size of files", syscall.RLIMIT_FSIZE, 0, 0},
		{"core dumps", syscall.RLIMIT_CORE, 0, 0},
	} {
		var was syscall.Rlimit
		if err := syscall.Getrlimit(limit.resource, &was); err != nil {
			return fmt.Errorf("limit the %s: %w", limit.name, err)
		}
		hard := min(limit.hard, was.Max) // nobody may raise it
		if err := syscall.Setrlimit(limit.resource, &syscall.Rlimit{Cur: min(limit.soft, hard), Max: hard}); err != nil {
			return fmt.Errorf("limit the %s: %w", limit.name, err)
		}
	}
	return nil
}
