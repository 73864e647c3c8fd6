package servicestage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"assetflow/addons"
	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
)

// Bounds of what can be said of an add-on, in characters.
const (
	maxAddonName = 53 // as that of a chart
	maxTargetID  = 64
	maxCSEID     = 64
)

// actions are what can be asked for on an add-on, exactly as the contract writes it.
var actions = map[string]catalog.AddonAction{"restart": catalog.AddonRestart, "redeploy": catalog.AddonRedeploy}

// CreateAddon makes an add-on and starts the job that installs it.
func (s *server) CreateAddon(ctx context.Context, request CreateAddonRequestObject) (CreateAddonResponseObject, error) {
	wanted := catalog.Addon{Name: request.Body.Name, TargetID: request.Body.CceID, CSEID: valueOf(request.Body.CseID)}
	switch {
	case !middleware.IsLine(wanted.Name, 1, maxAddonName):
		return nil, badParameter("The field name must be that of a chart in the add-on library, of 1 to %d characters.", maxAddonName)
	case !middleware.IsLine(wanted.TargetID, 1, maxTargetID):
		return nil, badParameter("The field cce_id must be the id of a target, of 1 to %d characters.", maxTargetID)
	case !middleware.IsLine(wanted.CSEID, 0, maxCSEID):
		return nil, badParameter("The field cse_id must have at most %d characters.", maxCSEID)
	}
	environment, err := environmentID(request.EnvironmentID)
	if err != nil {
		return nil, err
	}
	d := s.delivery(ctx, request.ProjectID, environment, catalog.AddonInstall, func(_ context.Context, jobID string) (catalog.Addon, error) {
		a := wanted
		a.ID = addonIDOf(jobID)
		return a, nil
	})
	return d.submit(ctx, request.Params.IdempotencyKey, wanted.Name, wanted.TargetID, wanted.CSEID)
}

// DeliverAddonJob starts a job that redeploys or restarts an add-on.
func (s *server) DeliverAddonJob(ctx context.Context, request DeliverAddonJobRequestObject) (DeliverAddonJobResponseObject, error) {
	environment, err := environmentID(request.EnvironmentID)
	if err != nil {
		return nil, err
	}
	action, ok := actions[request.Body.Action]
	if !ok {
		return nil, fault.New(fault.Invalid, codeAction, "The action is not defined: it must be restart or redeploy.")
	}
	d := s.delivery(ctx, request.ProjectID, environment, action, s.existing(request.ProjectID, environment, request.AddonID))
	return d.submit(ctx, request.Params.IdempotencyKey, string(action))
}

// DeleteAddon starts the job that takes an add-on away.
func (s *server) DeleteAddon(ctx context.Context, request DeleteAddonRequestObject) (DeleteAddonResponseObject, error) {
	environment, err := environmentID(request.EnvironmentID)
	if err != nil {
		return nil, err
	}
	d := s.delivery(ctx, request.ProjectID, environment, catalog.AddonUninstall, s.existing(request.ProjectID, environment, request.AddonID))
	return d.submit(ctx, request.Params.IdempotencyKey)
}

// existing finds the add-on that a path names.
func (s *server) existing(projectID, environmentID, text string) func(context.Context, string) (catalog.Addon, error) {
	return func(ctx context.Context, _ string) (catalog.Addon, error) {
		return s.addon(ctx, projectID, environmentID, text)
	}
}

// addonIDOf makes the id of the add-on that an installing job makes: as old as the job, and nobody else's.
//
// It follows from the job's id, which is what is known of a request whose process died before its answer. Whoever carries
// that one through, with its Idempotency-Key, answers the id of the add-on that the job makes.
func addonIDOf(jobID string) string {
	made := time.Now()
	if id, err := uuid.Parse(jobID); err == nil && id.Version() == 7 {
		made = time.Unix(id.Time().UnixTime())
	}
	return middleware.DerivedID(made, "addon", jobID)
}

// delivery is a request for a job on an add-on.
type delivery struct {
	server        *server
	caller        auth.Principal
	projectID     string
	environmentID string
	action        catalog.AddonAction
	// addon finds the add-on, or says what the job is to make.
	addon func(ctx context.Context, jobID string) (catalog.Addon, error)
}

func (s *server) delivery(ctx context.Context, projectID, environmentID string, action catalog.AddonAction,
	addon func(context.Context, string) (catalog.Addon, error),
) delivery {
	caller, _ := auth.PrincipalFrom(middleware.Context(ctx))
	return delivery{server: s, caller: caller, projectID: projectID, environmentID: environmentID, action: action, addon: addon}
}

// submit starts the job, or gives the answer that an earlier request of the same key was given. content stands for the
// request's body. ctx is the one that generated code hands on.
func (d delivery) submit(ctx context.Context, key *IdempotencyKey, content ...string) (started, error) {
	once := middleware.Submission{
		UserID: d.caller.UserID, Key: valueOf(key), JobID: jobs.NewID(),
		Fingerprint: middleware.Fingerprint(ctx.(*gin.Context).Request, content...),
	}
	submissions := middleware.Submissions{Store: d.server.Submissions, Logger: d.server.Logger}
	answer, err := submissions.Once(middleware.Context(ctx), once, func(ctx context.Context, jobID string) (middleware.Answer, error) {
		if err := d.start(ctx, jobID, jobID != once.JobID); err != nil {
			return middleware.Answer{}, err
		}
		return d.answer(jobID)
	})
	return started{answer}, err
}

// answer names the job, and the add-on that it makes.
func (d delivery) answer(jobID string) (middleware.Answer, error) {
	var body any = JobStarted{JobID: formatJobID(jobID)}
	if d.action == catalog.AddonInstall {
		body = AddonCreated{JobID: formatJobID(jobID), ID: addonIDOf(jobID)}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return middleware.Answer{}, fmt.Errorf("encode the answer: %w", err)
	}
	return middleware.Answer{Status: http.StatusOK, ContentType: contentType, Body: append(text, '\n')}, nil
}

// start starts the job. Where the id is that of an earlier request, it finds the job started, or starts it after all.
func (d delivery) start(ctx context.Context, jobID string, resumed bool) error {
	s := d.server
	known := false
	if resumed {
		_, err := s.Jobs.ProjectOf(ctx, jobID)
		if known = err == nil; err != nil && fault.KindOf(err) != fault.NotFound {
			return err
		}
	}
	sub, err := d.submission(ctx, jobID)
	if known && fault.KindOf(err) == fault.NotFound {
		return nil // the job has been, and the add-on has been taken away: by it, or after it
	}
	if err == nil && !known {
		err = d.check(ctx, sub)
	}
	if err != nil {
		return err
	}
	job, err := s.Jobs.StartDelivery(ctx, sub)
	if err != nil || job.State.Ended() {
		return err
	}
	// The job does this as well. Here it makes the add-on show what is done with it from the moment of the answer.
	if _, _, err := s.Catalog.BeginDelivery(ctx, deliveryOf(sub)); err != nil && fault.CodeOf(err) != codeJobEnded {
		return err
	}
	return nil
}

// submission finds out what the job is told.
func (d delivery) submission(ctx context.Context, jobID string) (jobs.DeliverySubmission, error) {
	environment, err := d.server.Catalog.Environment(ctx, d.projectID, d.environmentID)
	if err != nil {
		return jobs.DeliverySubmission{}, err
	}
	a, err := d.addon(ctx, jobID)
	return jobs.DeliverySubmission{
		JobID: jobID, ProjectID: d.projectID, UserID: d.caller.UserID, UserName: d.caller.UserName, Action: d.action,
		EnvironmentID: d.environmentID, EnvironmentName: environment.Name,
		AddonID: a.ID, Name: a.Name, TargetID: a.TargetID, CSEID: a.CSEID,
	}, err
}

// check refuses a job that could not begin.
func (d delivery) check(ctx context.Context, sub jobs.DeliverySubmission) error {
	s := d.server
	_, err := s.Targets.For(sub.ProjectID, sub.TargetID)
	if fault.CodeOf(err) == addons.CodeNoTarget {
		return badParameter("There is no target %q, or none that is open to the project; GET /api/v1/projects/%s/targets lists them.",
			sub.TargetID, sub.ProjectID).Wrap(err)
	}
	if err != nil {
		return err
	}
	// This one first: it names the job that is in the way, whatever that has come to.
	if err := s.Jobs.CheckDeliveryFree(ctx, sub); err != nil {
		return err
	}
	err = s.Catalog.CheckDelivery(ctx, deliveryOf(sub))
	if fault.CodeOf(err) == codeChartNotFound {
		return badParameter("The add-on library of the project has no chart %q; push one first: POST /api/v1/projects/%s/charts.",
			sub.Name, sub.ProjectID).Wrap(err)
	}
	return err
}

func deliveryOf(sub jobs.DeliverySubmission) catalog.Delivery {
	return catalog.Delivery{
		JobID: sub.JobID, ProjectID: sub.ProjectID, UserID: sub.UserID, Action: sub.Action,
		EnvironmentID: sub.EnvironmentID, AddonID: sub.AddonID, Name: sub.Name, TargetID: sub.TargetID, CSEID: sub.CSEID,
	}
}

// started is the answer of every operation that starts a job. The request's id is among its headers already.
type started struct{ middleware.Answer }

func (a started) VisitCreateAddonResponse(w http.ResponseWriter) error     { return a.WriteTo(w) }
func (a started) VisitDeliverAddonJobResponse(w http.ResponseWriter) error { return a.WriteTo(w) }
func (a started) VisitDeleteAddonResponse(w http.ResponseWriter) error     { return a.WriteTo(w) }
