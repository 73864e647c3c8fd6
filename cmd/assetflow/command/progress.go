package command

import (
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// meter shows how far something is: as a bar on a terminal, as plain lines elsewhere, and not at all for scripts.
type meter interface {
	// at says how much is done. It may be called from several goroutines.
	at(done int64, what string)
	// say adds a line about what is being done.
	say(line string)
	// end removes what is in the way of the next line.
	end()
}

// lineEvery is how often a meter of plain lines says something: a log should not fill up with it.
const lineEvery = 10 * time.Second

// uploadMeter shows an upload of total bytes, from the first byte on: an upload that is refused is not shown.
func (a *app) uploadMeter(name string, total int64) meter {
	return a.transferMeter("Upload", name, total)
}

// downloadMeter shows a download of total bytes.
func (a *app) downloadMeter(name string, total int64) meter {
	return a.transferMeter("Download", name, total)
}

func (a *app) transferMeter(verb, name string, total int64) meter {
	name = printable(name)
	switch {
	case a.silent():
		return noMeter{}
	case a.terminal(a.stderr):
		return &barMeter{w: a.stderr, make: func() *progressbar.ProgressBar {
			return newBar(a.stderr, total, verb+"ing "+name,
				progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowBytes(true), progressbar.OptionShowCount(),
				progressbar.OptionUseIECUnits(true), progressbar.OptionShowTotalBytes(true))
		}}
	}
	started := false
	return &lineMeter{w: a.stderr, now: a.now, line: func(done int64, _ string) string {
		if !started {
			started = true
			return fmt.Sprintf("%sing %s (%s)", verb, name, size(total))
		}
		return fmt.Sprintf("%sed %s of %s (%d%%)", verb, size(done), size(total), percent(float64(done)/float64(max(total, 1))))
	}}
}

// jobSteps is the scale of a job's progress on a meter.
const jobSteps = 1000

// jobMeter shows a job's progress; done is in thousandths.
func (a *app) jobMeter() meter {
	switch {
	case a.silent():
		return noMeter{}
	case a.terminal(a.stderr):
		return &barMeter{w: a.stderr, make: func() *progressbar.ProgressBar {
			return newBar(a.stderr, jobSteps, "Waiting", progressbar.OptionSetPredictTime(false))
		}}
	}
	return &lineMeter{w: a.stderr, now: a.now, steps: true, line: func(done int64, step string) string {
		return fmt.Sprintf("%s (%d%%)", step, percent(float64(done)/jobSteps))
	}}
}

func percent(fraction float64) int { return int(math.Floor(fraction * 100)) }

// barMeter is a progress bar.
type barMeter struct {
	w    io.Writer
	make func() *progressbar.ProgressBar

	mu   sync.Mutex
	bar  *progressbar.ProgressBar // nil until there is something to show
	what string
}

func newBar(w io.Writer, total int64, what string, more ...progressbar.Option) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total, append([]progressbar.Option{
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30),
		progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "=", SaucerHead: ">", SaucerPadding: " ", BarStart: "[", BarEnd: "]"}),
	}, more...)...)
}

func (m *barMeter) at(done int64, what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bar == nil {
		m.bar = m.make()
	}
	if what != "" && what != m.what {
		m.what = what
		m.bar.Describe(printable(what))
	}
	_ = m.bar.Set64(done) // a terminal that is gone is no reason to stop
}

func (m *barMeter) say(line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bar != nil {
		_ = m.bar.Clear()
	}
	_, _ = fmt.Fprintln(m.w, printable(line))
	if m.bar != nil {
		_ = m.bar.RenderBlank()
	}
}

func (m *barMeter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bar != nil {
		_ = m.bar.Clear()
	}
}

// lineMeter writes a line now and then, and the first one at once.
type lineMeter struct {
	w     io.Writer
	now   func() time.Time
	line  func(done int64, what string) string
	steps bool // what is done has named steps: a line for each, and none without a name

	mu   sync.Mutex
	last time.Time
	what string
}

func (m *lineMeter) at(done int64, what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	next := m.steps && what != m.what
	if m.steps && what == "" || !next && now.Sub(m.last) < lineEvery {
		return
	}
	m.last, m.what = now, what
	_, _ = fmt.Fprintln(m.w, printable(m.line(done, what)))
}

func (m *lineMeter) say(line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _ = fmt.Fprintln(m.w, printable(line))
}

func (m *lineMeter) end() {}

// noMeter shows nothing.
type noMeter struct{}

func (noMeter) at(int64, string) {}
func (noMeter) say(string)       {}
func (noMeter) end()             {}
