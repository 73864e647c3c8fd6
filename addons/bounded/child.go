package bounded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"time"
)

// Exit codes of a child that does not end with an answer. 2 is that of Go's runtime.
const (
	exitMemory    = 81 + iota // the limit of memory
	exitCPU                   // that of processor time
	exitOutput                // that of output
	exitUnbounded             // it could not bound itself, and has done nothing
	exitAlone                 // its parent has gone
)

// memoryInterval is how often a child looks at its memory.
const memoryInterval = 5 * time.Millisecond

// Ask puts a question to the parent, and gives what it says.
type Ask func(question any) (json.RawMessage, error)

// Task is what a child does with its input.
type Task func(input json.RawMessage, ask Ask) (any, error)

// Main does the task and ends the process, where it is a child. Otherwise it does nothing. It is called in an init function
// of what is the same in all executables: nothing of theirs runs in a child.
func Main(task Task) {
	limits, child := os.LookupEnv(marker)
	if !child {
		return
	}
	os.Exit(run(limits, task, os.Stdin, os.Stdout))
}

func run(limits string, task Task, stdin io.Reader, stdout io.Writer) int {
	os.Clearenv()
	// What is logged would hide in the parent's eyes what Go's runtime says.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	log.SetOutput(io.Discard)
	// A service manager or a terminal tells all processes of a service to stop; the parent knows what it still needs.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)

	var l Limits
	err := json.Unmarshal([]byte(limits), &l)
	if err == nil {
		err = confine(l)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitUnbounded
	}
	c := &child{limits: l, out: stdout, in: make(chan json.RawMessage)}
	go c.listen(stdin)
	var answer json.RawMessage
	result, err := task(<-c.in, c.ask)
	if err == nil {
		answer, err = json.Marshal(result)
	}
	said := message{Answer: answer}
	if err != nil {
		said = message{Error: err.Error()}
		if said.Error == "" {
			said.Error = "it failed"
		}
	}
	if err := c.say(said); err != nil {
		return exitAlone
	}
	return 0
}

// confine bounds this process.
func confine(l Limits) error {
	runtime.GOMAXPROCS(2)                  // one for the task, and one for what watches it
	debug.SetMaxStack(int(l.Memory / 8))   // where it grows, the old one and the new one are there
	debug.SetMemoryLimit(l.Memory / 4 * 3) // from there on garbage is collected eagerly
	go watchMemory(uint64(l.Memory))       //nolint:gosec // a limit is not negative
	return setLimits(l)
}

// watchMemory ends the process when it has too much memory. It is too slow for who asks for much at once, which the
// kernel sees to.
func watchMemory(most uint64) {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	for range time.Tick(memoryInterval) {
		metrics.Read(samples)
		if samples[0].Value.Uint64()-samples[1].Value.Uint64() > most {
			os.Exit(exitMemory)
		}
	}
}

// child is one's own side of the talk.
type child struct {
	limits Limits
	out    io.Writer
	in     chan json.RawMessage // what the parent says
	said   int64                // bytes
}

// listen passes on what the parent says, and ends the process when the parent has gone.
func (c *child) listen(stdin io.Reader) {
	messages := json.NewDecoder(stdin)
	for {
		var m json.RawMessage
		if messages.Decode(&m) != nil {
			os.Exit(exitAlone)
		}
		c.in <- m
	}
}

func (c *child) say(m message) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if c.said += int64(len(data)) + 1; c.said > c.limits.Output {
		os.Exit(exitOutput)
	}
	_, err = c.out.Write(append(data, '\n'))
	return err
}

func (c *child) ask(question any) (json.RawMessage, error) {
	data, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	if err := c.say(message{Ask: data}); err != nil {
		return nil, err
	}
	var r reply
	if err := json.Unmarshal(<-c.in, &r); err != nil {
		return nil, err
	}
	if r.Error != "" {
		return nil, errors.New(r.Error)
	}
	return r.Value, nil
}
