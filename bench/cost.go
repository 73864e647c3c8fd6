package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"assetflow/prodstack"
)

// parts are those of a production stack, by the names of their processes; bench is this process with the proxy, the callers
// and the bare workers.
var parts = []string{"postgresql", "temporal", "minio", "api", "worker", "bench"}

// cost is the processor time that each part has used.
type cost map[string]time.Duration

// tick is the unit of processor time in /proc: 100 a second on Linux.
const tick = 10 * time.Millisecond

func cores() int { return runtime.NumCPU() }

// costOf looks the processes up, each with those that it started.
func costOf(processes []prodstack.Process) (cost, error) {
	owner := map[int]string{os.Getpid(): "bench"}
	for _, p := range processes {
		owner[p.PID] = partOf(p.Name)
	}
	found, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	sum := cost{}
	for _, path := range found {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			continue // it is ending
		}
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		// After the name, which may hold anything: state, parent, … user and system time, those of ended children.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) < 15 {
			return nil, fmt.Errorf("%s has another form than expected", path)
		}
		parent, _ := strconv.Atoi(fields[1])
		part, ok := owner[pid]
		if !ok && owner[parent] == "postgresql" {
			part, ok = "postgresql", true
		}
		if !ok {
			continue
		}
		times := fields[11:13]
		if part == "postgresql" {
			times = fields[11:15] // its sessions are processes, some of which have ended
		}
		for _, text := range times {
			n, _ := strconv.ParseInt(text, 10, 64)
			sum[part] += time.Duration(n) * tick
		}
	}
	return sum, nil
}

// machineTime is the processor time that all processes of the machine have used.
func machineTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return 0, errors.New("/proc/stat has another form than expected")
	}
	var sum time.Duration
	for i, text := range fields[1:9] { // user nice system idle iowait irq softirq steal
		if i == 3 || i == 4 {
			continue
		}
		n, _ := strconv.ParseInt(text, 10, 64)
		sum += time.Duration(n) * tick
	}
	return sum, nil
}
