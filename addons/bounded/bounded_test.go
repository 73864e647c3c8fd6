package bounded_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"assetflow/addons/bounded"
)

func init() { bounded.Main(do) }

// patience is when a test gives up, on the busiest of machines.
const patience = 2 * time.Minute

var limits = bounded.Limits{CPU: 30 * time.Second, Wall: patience, Memory: 128 << 20, Output: 1 << 20, Asks: 3}

// world is what a child sees.
type world struct {
	Env   []string
	Dir   string
	Files []string
}

// do is the task of the tests. It tells its parent its process id before it does what may end it.
func do(input json.RawMessage, ask bounded.Ask) (any, error) {
	var what string
	if err := json.Unmarshal(input, &what); err != nil {
		return nil, err
	}
	switch {
	case what == "world":
		var w world
		w.Env = os.Environ()
		w.Dir, _ = os.Getwd()
		files, _ := filepath.Glob("/proc/self/fd/*")
		for _, f := range files {
			if to, err := os.Readlink(f); err == nil && !strings.HasPrefix(to, "anon_inode:") {
				w.Files = append(w.Files, to)
			}
		}
		return w, nil
	case what == "fail":
		return nil, errors.New("it cannot be done")
	case what == "babble":
		fmt.Fprint(os.Stderr, strings.Repeat("a", 10<<20))
		os.Exit(1)
	case what == "panic":
		panic("it cannot be done")
	case strings.HasPrefix(what, "echo "):
		return strings.TrimPrefix(what, "echo "), nil
	}
	if _, err := ask(os.Getpid()); err != nil {
		return nil, fmt.Errorf("the parent says: %w", err)
	}
	switch what {
	case "spin":
		for n := 0; ; n++ {
			if n < 0 {
				return n, nil
			}
		}
	case "grow":
		var all [][]byte
		for {
			all = append(all, make([]byte, 1<<20))
			for i := range all[len(all)-1] {
				all[len(all)-1][i] = 1
			}
		}
	case "hold":
		much := make([]byte, limits.Memory/3*2)
		for i := range much {
			much[i] = 1
		}
		return len(much), nil
	case "leap":
		much := make([]byte, 4<<30)
		for i := range much {
			much[i] = 1
		}
		return len(much), nil
	case "recurse":
		return recurse(1), nil
	case "talk":
		return strings.Repeat("a", 2<<20), nil
	case "ask":
		for {
			if _, err := ask(os.Getpid()); err != nil {
				return nil, err
			}
		}
	case "wait":
		select {}
	}
	return "done", nil
}

func recurse(n int) int {
	if n < 0 {
		return n
	}
	var room [128]int
	room[n%len(room)] = recurse(n + 1)
	return room[(n+1)%len(room)] + room[n%len(room)]
}

// run gives what becomes of the task, and the process id of the child where it told it.
func run(ctx context.Context, l bounded.Limits, what string, told func(pid int)) (answer json.RawMessage, pid int, err error) {
	answer, err = bounded.Run(ctx, l, what, func(_ context.Context, question json.RawMessage) (any, error) {
		if err := json.Unmarshal(question, &pid); err != nil {
			return nil, err
		}
		if told != nil {
			told(pid)
		}
		return "go on", nil
	})
	return answer, pid, err
}

func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.NotZero(t, pid)
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "neither a process nor a zombie is left")
}

// A child answers, and sees nothing of its parent.
func TestAnswer(t *testing.T) {
	t.Setenv("ASSETFLOW_TEST_SECRET", "s3cr3t")
	answer, _, err := run(t.Context(), limits, "world", nil)
	require.NoError(t, err)
	require.NotContains(t, string(answer), "s3cr3t")
	var w world
	require.NoError(t, json.Unmarshal(answer, &w))
	require.Empty(t, w.Env)
	require.Equal(t, "/", w.Dir)
	for _, f := range w.Files {
		require.True(t, strings.HasPrefix(f, "pipe:") || strings.HasPrefix(f, "/proc/") || strings.HasPrefix(f, "/sys/fs/cgroup/") || f == os.DevNull, f)
	}

	text := strings.Repeat("ä\"<\x00\u2028", 10_000)
	answer, _, err = run(t.Context(), limits, "echo "+text, nil)
	require.NoError(t, err)
	var echo string
	require.NoError(t, json.Unmarshal(answer, &echo))
	require.Equal(t, text, echo)

	_, _, err = run(t.Context(), limits, "fail", nil)
	require.Equal(t, bounded.Failure("it cannot be done"), err)
}

func TestExcess(t *testing.T) {
	t.Parallel()
	for what, want := range map[string]bounded.Excess{
		"spin": bounded.CPU, "grow": bounded.Memory, "leap": bounded.Memory, "recurse": bounded.Stack,
		"talk": bounded.Output, "ask": bounded.Asks, "panic": bounded.Crashed,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l := limits
			if what == "spin" {
				l.CPU = time.Second
			}
			_, pid, err := run(t.Context(), l, what, nil)
			require.ErrorIs(t, err, want)
			if what != "panic" {
				requireGone(t, pid)
			}
		})
	}
}

// What a child says when it crashes is not kept at any length.
func TestBabble(t *testing.T) {
	t.Parallel()
	_, _, err := run(t.Context(), limits, "babble", nil)
	require.ErrorIs(t, err, bounded.Crashed)
	require.Less(t, len(err.Error()), 4<<10)
}

// The memory that the kernel has given to a child never was more than its limit, the slack, and what the executable has.
func TestMemoryFromOutside(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	for _, what := range []string{"grow", "leap"} {
		var most atomic.Int64
		watched := make(chan struct{})
		_, pid, err := run(t.Context(), limits, what, func(pid int) {
			go func() {
				defer close(watched)
				for now := int64(1); now > 0; now = peak(pid) {
					most.Store(max(most.Load(), now))
				}
			}()
		})
		require.ErrorIs(t, err, bounded.Memory)
		requireGone(t, pid)
		<-watched
		t.Logf("%s: %d MiB", what, most.Load()>>20)
		require.Less(t, most.Load(), bounded.MemoryFactor*(limits.Memory+bounded.Slack)+64<<20)
		if what == "grow" {
			require.Greater(t, most.Load(), limits.Memory/4, "it was seen to grow")
		}
	}
}

// peak gives the most memory that a process ever had, in bytes; nothing where it has gone.
func peak(pid int) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

// Who no longer waits for it has no child either; neither has who waits too long.
func TestCancel(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"spin", "wait"} {
		ctx, cancel := context.WithCancel(t.Context())
		_, pid, err := run(ctx, limits, what, func(int) { cancel() })
		require.ErrorIs(t, err, context.Canceled)
		requireGone(t, pid)
		_, pid, err = run(ctx, limits, what, nil)
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, pid, "nothing was started")
	}
	short := limits
	short.Wall = time.Second
	_, _, err := run(t.Context(), short, "wait", nil)
	require.ErrorContains(t, err, "not done within")
	var excess bounded.Excess
	require.NotErrorAs(t, err, &excess, "it is no fault of the task's")
}

// What kills a child from outside is no fault of the task's. A request to stop is not for it to follow.
func TestKilledFromOutside(t *testing.T) {
	t.Parallel()
	_, pid, err := run(t.Context(), limits, "wait", func(pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) })
	require.ErrorContains(t, err, "killed")
	var excess bounded.Excess
	require.NotErrorAs(t, err, &excess)
	requireGone(t, pid)

	_, pid, err = run(t.Context(), limits, "end", func(pid int) {
		for _, stop := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
			_ = syscall.Kill(pid, stop)
		}
	})
	require.NoError(t, err)
	require.NotZero(t, pid)
}

// The error of a reply is that of the task which asked.
func TestReplyFails(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	_, err := bounded.Run(t.Context(), limits, "end", func(context.Context, json.RawMessage) (any, error) { return nil, away })
	require.ErrorIs(t, err, away)
	_, err = bounded.Run(t.Context(), limits, "end", nil)
	require.ErrorIs(t, err, bounded.Asks)
}

// However many are asked for at once, only so many children are there; and each answers its own.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	var (
		mu      sync.Mutex
		now     = map[int]bool{}
		most    int
		running errgroup.Group
	)
	for n := range 24 {
		running.Go(func() error {
			_, pid, err := run(t.Context(), limits, "end", func(pid int) {
				mu.Lock()
				defer mu.Unlock()
				for other := range now {
					if syscall.Kill(other, 0) != nil {
						delete(now, other)
					}
				}
				now[pid] = true
				most = max(most, len(now))
			})
			if err != nil {
				return err
			}
			if pid == 0 {
				return errors.New("it has not asked")
			}
			answer, _, err := run(t.Context(), limits, fmt.Sprintf("echo %d", n), nil)
			if err == nil && string(answer) != fmt.Sprintf("%q", strconv.Itoa(n)) {
				err = fmt.Errorf("%d is answered with %s", n, answer)
			}
			return err
		})
	}
	require.NoError(t, running.Wait())
	require.LessOrEqual(t, most, bounded.MaxChildren)
}

// Children leave nothing behind.
func TestNothingLeaks(t *testing.T) { // not in parallel: it counts what the process has
	before, files := runtime.NumGoroutine(), descriptors(t)
	for _, what := range []string{"end", "fail", "panic", "ask", "talk", "recurse"} {
		_, _, _ = run(t.Context(), limits, what, nil)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, _, err := run(ctx, limits, "wait", func(int) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, patience, 10*time.Millisecond) // one is Eventually's own
	require.LessOrEqual(t, descriptors(t), files)
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/dev/fd")
	require.NoError(t, err)
	return len(entries)
}

// A child that cannot be bounded does nothing.
func TestUnbounded(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.Command(self)
	child.Env = []string{"ASSETFLOW_BOUNDED=nonsense"}
	child.Stdin = strings.NewReader(`"world"`)
	said, err := child.Output()
	var ended *exec.ExitError
	require.ErrorAs(t, err, &ended)
	require.Empty(t, said)
}

// Who stays within the limits may use most of them.
func TestWithin(t *testing.T) {
	t.Parallel()
	answer, _, err := run(t.Context(), limits, "hold", nil)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(limits.Memory/3*2), string(answer))
}
