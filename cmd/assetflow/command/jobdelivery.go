package command

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"assetflow/client"
)

// deliveryFields gives what a delivery was started with.
func deliveryFields(request json.RawMessage) [][2]string {
	var r client.DeliveryRequest
	if json.Unmarshal(request, &r) != nil {
		return nil
	}
	environment := r.EnvironmentID
	if r.EnvironmentName != "" {
		environment = fmt.Sprintf("%s (%s)", r.EnvironmentName, r.EnvironmentID)
	}
	return [][2]string{
		{"Action", r.Action}, {"Add-on", fmt.Sprintf("%s (%s)", r.Name, r.AddonID)}, {"Target", r.TargetID}, {"Environment", environment},
	}
}

// attemptFields says that a step is tried again, and why.
func attemptFields(j client.JobDetail) [][2]string {
	if j.LastFailure == "" {
		return nil
	}
	return [][2]string{{"Attempt", fmt.Sprint(j.Attempt)}, {"Last failure", j.LastFailure}}
}

// showTasks writes the steps of a delivery, with what each has to say.
func (a *app) showTasks(s *sheet, j client.JobDetail) {
	if len(j.Tasks) == 0 {
		return
	}
	rows := [][]string{{"STEP", "TASK", "STATE", "TOOK", "MESSAGES"}}
	for _, t := range j.Tasks {
		end := t.UpdatedAt
		if t.State == client.JobRunning {
			end = a.now()
		}
		row := []string{fmt.Sprint(t.Index + 1), t.Name, t.State, took(end.Sub(t.CreatedAt)), ""}
		for i, message := range t.Messages {
			if i > 0 {
				rows = append(rows, row)
				row = make([]string, len(row))
			}
			row[len(row)-1] = message
		}
		rows = append(rows, row)
	}
	s.line("")
	s.table(rows)
}

// showWorkloads writes how far the workloads of an add-on are.
func showWorkloads(s *sheet, workloads []client.Workload) {
	if len(workloads) == 0 {
		return
	}
	rows := [][]string{{"WORKLOAD", "NAME", "READY", "WAITS FOR"}}
	for _, w := range workloads {
		rows = append(rows, []string{w.Kind, w.Name, readyText(w), w.Message})
	}
	s.line("")
	s.table(rows)
}

func readyText(w client.Workload) string { return fmt.Sprintf("%d of %d", w.Ready, w.Wanted) }

// showDelivered says what a delivery came to.
func showDelivered(s *sheet, result json.RawMessage) {
	var r client.DeliveryResult
	if json.Unmarshal(result, &r) != nil {
		return
	}
	done := ""
	switch r.Action {
	case "uninstall":
		s.line("\nUninstalled %s from %s.", r.Name, r.TargetID)
		return
	case "install":
		done = "Installed"
	case client.Redeploy:
		done = "Redeployed"
	case client.Restart:
		done = "Restarted"
	}
	s.line("\n%s %s %s on %s: revision %s, add-on %s.", done, r.Name, r.Version, r.TargetID, r.Revision, r.AddonID)
}

// deliveryWatch says what is new about a delivery that is watched: a line for each step, and beneath it what the step has
// to say and what it waits for.
type deliveryWatch struct {
	meter meter
	now   func() time.Time

	tasks    int       // how many have been named
	messages int       // how many of the last one have been said
	waits    string    // what it was last said to wait for
	waited   time.Time // when that was said
}

// report takes the job as it is now, with its steps so far.
func (w *deliveryWatch) report(j client.JobDetail) {
	done := int64(j.Progress * jobSteps)
	for i, t := range j.Tasks {
		switch {
		case i+1 < w.tasks:
			continue
		case i+1 > w.tasks:
			w.tasks, w.messages, w.waits = i+1, 0, ""
			w.meter.at(done, t.Name)
		}
		said := saidBy(t, j)
		for _, message := range said[min(w.messages, len(said)):] {
			w.meter.say("  " + message)
		}
		w.messages = len(said)
	}
	if j.State == client.JobRunning {
		w.meter.at(done, j.Tasks[len(j.Tasks)-1].Name)
		w.wait(waitsFor(j))
	}
}

// saidBy gives the messages of a task that stay: the service puts the last failure behind those of a task that runs.
func saidBy(t client.JobTask, j client.JobDetail) []string {
	last := len(t.Messages) - 1
	if t.State == client.JobRunning && j.LastFailure != "" && last >= 0 && t.Messages[last] == j.LastFailure {
		return t.Messages[:last]
	}
	return t.Messages
}

// wait says what the step waits for: once, and then now and then where it changes.
func (w *deliveryWatch) wait(what string) {
	now := w.now()
	if what == "" || what == w.waits || w.waits != "" && now.Sub(w.waited) < lineEvery {
		return
	}
	w.waits, w.waited = what, now
	w.meter.say("  " + what)
}

// waitsFor says in a line what a delivery waits for; empty where it is for nothing.
func waitsFor(j client.JobDetail) string {
	if j.LastFailure != "" {
		return fmt.Sprintf("Attempt %d, after: %s", j.Attempt, j.LastFailure)
	}
	const most = 3
	var waiting []string
	for _, w := range j.Workloads {
		if w.Ready >= w.Wanted && w.Message == "" {
			continue
		}
		text := fmt.Sprintf("%s %s ready %s", w.Kind, w.Name, readyText(w))
		if w.Message != "" {
			text += ": " + w.Message
		}
		waiting = append(waiting, text)
	}
	if more := len(waiting) - most; more > 0 {
		waiting = append(waiting[:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(waiting, "; ")
}
