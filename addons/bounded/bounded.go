// Package bounded does a task on hostile input in a child process, which is bounded in processor time, memory and time.
// The child is this executable once more: who imports the package calls Main in an init function, which does the task
// and ends the process where it is such a child.
//
// Parent and child talk JSON over the child's stdin and stdout: the input, questions of the child with the parent's
// replies, and the answer. The child gets nothing else of its parent's: no environment, no files.
package bounded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// MaxChildren is how many children a process has at once, so that their memory together is bounded, too. Others wait.
const MaxChildren = 4

// marker is the variable of the environment that tells a child what it is, and its limits.
const marker = "ASSETFLOW_BOUNDED"

// Limits bound a child.
type Limits struct {
	CPU    time.Duration `json:"cpu"`    // of the processor, in whole seconds
	Wall   time.Duration `json:"wall"`   // from start to end. To break it is no fault of the task's, which cannot wait
	Memory int64         `json:"memory"` // bytes. The kernel lets the child have up to slack more, and no byte beyond
	Output int64         `json:"output"` // bytes of the answer, and of all questions
	Asks   int           `json:"asks"`   // questions
}

// slack is what the kernel gives beyond the limit of memory: Go takes 64 MiB at a time and threads have stacks, and the child
// looks at its memory only now and then.
const slack = 192 << 20

// Excess is the error of a task that broke a limit, or that crashed: it would do so again.
type Excess string

// What a task may break.
const (
	CPU     Excess = "processor time"
	Memory  Excess = "memory"
	Stack   Excess = "stack" // endless recursion, mostly
	Output  Excess = "output"
	Asks    Excess = "questions"
	Crashed Excess = "crashed"
)

// Error names what was broken.
func (e Excess) Error() string { return "a bounded task broke its limit: " + string(e) }

// Failure is the error that a task gave.
type Failure string

// Error is the text of the task's error.
func (f Failure) Error() string { return string(f) }

// Reply answers a question of a child.
type Reply func(ctx context.Context, question json.RawMessage) (any, error)

// message is what a child says.
type message struct {
	Ask    json.RawMessage `json:"ask,omitempty"`
	Answer json.RawMessage `json:"answer,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// reply is what a parent says to a question.
type reply struct {
	Value json.RawMessage `json:"value,omitempty"`
	Error string          `json:"error,omitempty"`
}

var slots = make(chan struct{}, MaxChildren)

// Run has the task done with the input in a child, and gives its answer. An error is an Excess, a Failure, that of ctx, the
// last that r gave (which may be nil: the task asks nothing), or one of starting the child or of what else became of it,
// which is worth another try. The child has gone when Run returns.
func Run(ctx context.Context, l Limits, input any, r Reply) (json.RawMessage, error) {
	request, err := json.Marshal(input)
	if err != nil {
		return nil, fmt.Errorf("encode the input of a bounded task: %w", err)
	}
	limits, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode the limits of a bounded task: %w", err)
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := ctx.Err(); err != nil { // there was a slot, too
		return nil, err
	}
	path, err := executable()
	if err != nil {
		return nil, fmt.Errorf("find the executable: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, l.Wall)
	defer cancel()
	said := &head{}
	child := exec.CommandContext(bounded, path) //nolint:gosec // our own executable
	child.Args = []string{"assetflow-bounded"}  // what a list of processes shows
	// Where the C library is linked, it would reserve much for each thread.
	child.Env = []string{marker + "=" + string(limits), "MALLOC_ARENA_MAX=1"}
	child.Dir, child.Stderr = string(os.PathSeparator), said
	child.WaitDelay = time.Second
	stdin, err := child.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe to a child process: %w", err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe to a child process: %w", err)
	}
	if err := child.Start(); err != nil {
		return nil, fmt.Errorf("start a child process: %w", err)
	}
	t := &talk{limits: l, reply: r, in: stdin, out: stdout}
	answer, talked := t.run(bounded, request)
	if talked != nil && !errors.Is(talked, io.EOF) {
		cancel() // it may be at work yet; who has said all that it will ends by itself, and tells why
	}
	ended := child.Wait()

	var failure Failure
	switch {
	case talked == nil:
		return answer, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case t.replied != nil:
		return nil, t.replied
	case errors.As(talked, &failure), errors.Is(talked, Asks):
		return nil, talked
	}
	if errors.Is(bounded.Err(), context.DeadlineExceeded) {
		return nil, fmt.Errorf("a child process was not done within %s; the machine is busy", l.Wall)
	}
	return nil, ofEnd(l, child.ProcessState, string(said.kept), errors.Join(talked, ended))
}

// executable is what this process runs, also where another has been put in its place on the disk.
func executable() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

// talk is what a parent has with a child.
type talk struct {
	limits  Limits
	reply   Reply
	in      io.WriteCloser
	out     io.Reader
	replied error // the error of reply; the child has heard of it, and has failed
}

// run gives the answer of the child. Its error is io.EOF where the child has ended without.
func (t *talk) run(ctx context.Context, request []byte) (json.RawMessage, error) {
	defer func() { _ = t.in.Close() }()
	if _, err := t.in.Write(append(request, '\n')); err != nil {
		return nil, fmt.Errorf("%w: %w", io.EOF, err)
	}
	replies, messages := json.NewEncoder(t.in), json.NewDecoder(io.LimitReader(t.out, t.limits.Output+1<<10))
	for asked := 0; ; asked++ {
		var m message
		switch err := messages.Decode(&m); {
		case err != nil:
			return nil, fmt.Errorf("%w: %w", io.EOF, err)
		case m.Error != "":
			return nil, Failure(m.Error)
		case m.Ask == nil:
			return m.Answer, nil
		case asked == t.limits.Asks || t.reply == nil:
			return nil, Asks
		}
		value, err := t.reply(ctx, m.Ask)
		said := reply{}
		if err == nil {
			said.Value, err = json.Marshal(value)
		}
		if err != nil {
			t.replied, said.Error = err, err.Error()
		}
		if err := replies.Encode(said); err != nil {
			return nil, fmt.Errorf("%w: %w", io.EOF, err)
		}
	}
}

// ofEnd tells by the end of a child that gave no answer what it broke.
func ofEnd(l Limits, state *os.ProcessState, said string, err error) error {
	says := func(texts ...string) bool {
		for _, text := range texts {
			if strings.Contains(said, text) {
				return true
			}
		}
		return false
	}
	switch code := state.ExitCode(); {
	case code == exitMemory, says("out of memory", "cannot allocate memory", "failed to create new OS thread", "pthread_create failed",
		"too many address space collisions", "ThreadSanitizer failed to allocate"):
		return Memory
	case code == exitCPU, code == -1 && state.UserTime()+state.SystemTime() >= l.CPU:
		return CPU
	case code == exitOutput:
		return Output
	case says("goroutine stack exceeds"):
		return Stack
	case code == exitUnbounded:
		return fmt.Errorf("a child process could not be bounded: %s", said)
	case code == -1: // a signal that is not ours: a machine without memory, or one that stops
		return fmt.Errorf("a child process was killed: %w", err)
	}
	return fmt.Errorf("%w: %w: %s", Crashed, err, said)
}

// head keeps the beginning of what is written. It has no other methods: io.Copy would use them.
type head struct{ kept []byte }

func (h *head) Write(p []byte) (int, error) {
	const most = 2 << 10
	h.kept = append(h.kept, p[:min(len(p), most-len(h.kept))]...)
	return len(p), nil
}
