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

// addressSpace is how many bytes of addresses this process has.
func addressSpace() (int64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var pages int64
	if _, err := fmt.Sscan(string(text), &pages); err != nil {
		return 0, fmt.Errorf("read /proc/self/statm: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}

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
	has, err := addressSpace()
	if err != nil {
		return err
	}
	// Go has reserved far more addresses than it uses, but its heap grows into new ones. The kernel does not count what is
	// mapped over a reservation as data, so RLIMIT_DATA would not hold.
	memory := uint64(has + memoryFactor*(l.Memory+slack)) //nolint:gosec // not negative
	for _, limit := range []struct {
		name     string
		resource int
		soft     uint64
		hard     uint64
	}{
		{"memory", syscall.RLIMIT_AS, memory, memory},
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
