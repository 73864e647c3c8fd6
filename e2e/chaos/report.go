package chaos

import (
	"fmt"
	"strings"
	"time"

	"assetflow/e2e/process"
)

// Report is what came of a run.
type Report struct {
	Seed      uint64
	Rounds    int                  // that were played
	Kills     map[process.Role]int // per process
	Accepted  int                  // jobs that were answered with an id
	Succeeded int
	Failed    int // as they had to: what was wrong with them is part of the model
	Tries     int // requests that it took to have them accepted, repetitions included
	Downloads int // of archives, complete
	Checks    []Check
	Took      time.Duration
	Dir       string // logs and history; empty when all went well and nothing was kept
}

// Check is one thing that was looked at after the run.
type Check struct {
	Name     string
	Looked   int // how many things were looked at
	Findings []string
}

// maxFindings bounds what is shown of one check.
const maxFindings = 10

// Problems counts what the checks found wrong.
func (r Report) Problems() int {
	n := 0
	for _, c := range r.Checks {
		n += len(c.Findings)
	}
	return n
}

func (r *Report) count(u *user) {
	r.Accepted += int(u.accepted.Load())
	r.Tries += int(u.tries.Load())
	for _, o := range u.ops {
		if o.exported != nil {
			r.Downloads++
		}
	}
}

// String gives the report as text for people.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d rounds in %s\nkills:", r.Seed, r.Rounds, r.Took.Round(time.Second))
	for _, role := range process.Roles {
		fmt.Fprintf(&b, " %s %d", role, r.Kills[role])
	}
	fmt.Fprintf(&b, "\njobs: %d accepted (in %d requests), %d succeeded, %d failed as they had to; %d archives downloaded\n",
		r.Accepted, r.Tries, r.Succeeded, r.Failed, r.Downloads)
	for _, c := range r.Checks {
		verdict := "ok"
		if len(c.Findings) > 0 {
			verdict = fmt.Sprintf("%d WRONG", len(c.Findings))
		}
		fmt.Fprintf(&b, "%-8s %s (%d)\n", verdict, c.Name, c.Looked)
		for i, f := range c.Findings {
			if i == maxFindings {
				fmt.Fprintf(&b, "         … and %d more\n", len(c.Findings)-i)
				break
			}
			fmt.Fprintf(&b, "         - %s\n", f)
		}
	}
	if r.Dir != "" {
		fmt.Fprintf(&b, "logs and history: %s\n", r.Dir)
	}
	return b.String()
}
