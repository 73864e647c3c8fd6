package servicestage

import (
	"context"
	"regexp"
	"unicode/utf8"

	"assetflow/api/middleware"
	"assetflow/catalog"
)

// Bounds of what can be said of an environment, beside those of the catalog. In characters.
const (
	minName       = 2
	maxVPCID      = 64
	maxLabelKey   = 128
	maxLabelValue = 255
)

// environmentName is what the contract allows.
var environmentName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*[A-Za-z0-9]$`)

// CreateEnvironment makes an environment.
func (s *server) CreateEnvironment(ctx context.Context, request CreateEnvironmentRequestObject) (CreateEnvironmentResponseObject, error) {
	body := request.Body
	e := catalog.Environment{ProjectID: request.ProjectID, VPCID: body.VpcID, DeployMode: catalog.DeployContainer}
	if !middleware.IsLine(body.VpcID, 1, maxVPCID) {
		return nil, badParameter("The field vpc_id must have 1 to %d characters.", maxVPCID)
	}
	if body.DeployMode != nil {
		if !body.DeployMode.Valid() {
			return nil, badParameter("The field deploy_mode must be container, virtualmachine or mixed.")
		}
		e.DeployMode = catalog.DeployMode(*body.DeployMode)
	}
	if err := (wishes{name: &body.Name, description: body.Description, labels: body.Labels}).apply(&e); err != nil {
		return nil, err
	}
	e, err := s.Catalog.CreateEnvironment(middleware.Context(ctx), userID(ctx), e)
	if err != nil {
		return nil, err
	}
	return CreateEnvironment200ApplicationJSONCharsetUTF8Response{answerEnvironment(ctx, e)}, nil
}

// wishes are what a request says of an environment; nil: nothing.
type wishes struct {
	name, description *string
	labels            *Labels
}

// apply writes them down, or says which of them cannot be.
func (w wishes) apply(e *catalog.Environment) error {
	if w.name != nil {
		if n := len(*w.name); n < minName || n > catalog.MaxEnvironmentName || !environmentName.MatchString(*w.name) {
			return badParameter("The field name must have %d to %d letters, digits, - and _, of which the first is a letter and the last a letter or a digit.",
				minName, catalog.MaxEnvironmentName)
		}
		e.Name = *w.name
	}
	if w.description != nil {
		if utf8.RuneCountInString(*w.description) > catalog.MaxEnvironmentDescription || !middleware.IsStorable(*w.description) {
			return badParameter("The field description must have at most %d characters.", catalog.MaxEnvironmentDescription)
		}
		e.Description = *w.description
	}
	if w.labels != nil {
		if len(*w.labels) > catalog.MaxEnvironmentLabels {
			return badParameter("The field labels has %d entries: at most %d.", len(*w.labels), catalog.MaxEnvironmentLabels)
		}
		e.Labels = make([]catalog.EnvironmentLabel, len(*w.labels))
		for i, l := range *w.labels {
			if !middleware.IsLine(l.Key, 1, maxLabelKey) || !middleware.IsLine(l.Value, 0, maxLabelValue) {
				return badParameter("Every entry of the field labels must have a key of 1 to %d characters and a value of at most %d.",
					maxLabelKey, maxLabelValue)
			}
			e.Labels[i] = catalog.EnvironmentLabel(l)
		}
	}
	return nil
}

// ListEnvironments gives one page of the project's environments.
func (s *server) ListEnvironments(ctx context.Context, request ListEnvironmentsRequestObject) (ListEnvironmentsResponseObject, error) {
	limit, offset, err := pageOf(request.Params.Limit, request.Params.Offset)
	if err != nil {
		return nil, err
	}
	environments, total, err := s.Catalog.ListEnvironments(middleware.Context(ctx), request.ProjectID, limit, offset)
	if err != nil {
		return nil, err
	}
	page := EnvironmentPage{Count: total, Environments: make([]Environment, len(environments))}
	for i, e := range environments {
		page.Environments[i] = formatEnvironment(e)
	}
	return ListEnvironments200ApplicationJSONCharsetUTF8Response{
		Headers: ListEnvironments200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: page,
	}, nil
}

// ShowEnvironment gives one environment.
func (s *server) ShowEnvironment(ctx context.Context, request ShowEnvironmentRequestObject) (ShowEnvironmentResponseObject, error) {
	id, err := environmentID(request.EnvironmentID)
	if err != nil {
		return nil, err
	}
	e, err := s.Catalog.Environment(middleware.Context(ctx), request.ProjectID, id)
	if err != nil {
		return nil, err
	}
	return ShowEnvironment200ApplicationJSONCharsetUTF8Response{answerEnvironment(ctx, e)}, nil
}

// UpdateEnvironment changes what is said of an environment.
func (s *server) UpdateEnvironment(ctx context.Context, request UpdateEnvironmentRequestObject) (UpdateEnvironmentResponseObject, error) {
	id, err := environmentID(request.EnvironmentID)
	if err != nil {
		return nil, err
	}
	said := wishes{name: request.Body.Name, description: request.Body.Description, labels: request.Body.Labels}
	e, err := s.Catalog.UpdateEnvironment(middleware.Context(ctx), userID(ctx), request.ProjectID, id, said.apply)
	if err != nil {
		return nil, err
	}
	return UpdateEnvironment200ApplicationJSONCharsetUTF8Response{answerEnvironment(ctx, e)}, nil
}

// DeleteEnvironment removes an environment that has no add-ons.
func (s *server) DeleteEnvironment(ctx context.Context, request DeleteEnvironmentRequestObject) (DeleteEnvironmentResponseObject, error) {
	id, err := environmentID(request.EnvironmentID)
	if err != nil {
		return nil, err
	}
	if err := s.Catalog.DeleteEnvironment(middleware.Context(ctx), userID(ctx), request.ProjectID, id); err != nil {
		return nil, err
	}
	return DeleteEnvironment204Response{Headers: DeleteEnvironment204ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}}, nil
}

// answerEnvironment is the answer of every operation on one environment.
func answerEnvironment(ctx context.Context, e catalog.Environment) EnvironmentApplicationJSONCharsetUTF8Response {
	return EnvironmentApplicationJSONCharsetUTF8Response{
		Headers: EnvironmentResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: formatEnvironment(e),
	}
}

func formatEnvironment(e catalog.Environment) Environment {
	labels := make(Labels, len(e.Labels))
	for i, l := range e.Labels {
		labels[i] = Label(l)
	}
	return Environment{
		ID: e.ID, Name: e.Name, Description: e.Description, ProjectID: e.ProjectID, DeployMode: DeployMode(e.DeployMode), VpcID: e.VPCID,
		Labels: labels, Creator: e.CreatorName, CreateTime: e.CreatedAt.UnixMilli(), UpdateTime: e.UpdatedAt.UnixMilli(),
	}
}
