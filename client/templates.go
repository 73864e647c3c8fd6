package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// templatePart is the name that the JP1/AO contract gives to the one part of an upload.
const templatePart = "file"

// ServiceTemplate is a service template as the JP1/AO contract shows it. Lists in it are texts with commas.
type ServiceTemplate struct {
	ID                    int64  `json:"instanceID"`
	KeyName               string `json:"keyName"`
	DisplayName           string `json:"displayName"`
	VendorID              string `json:"vendorID"`
	VendorName            string `json:"vendorName"`
	Version               string `json:"version"`
	Tags                  string `json:"tags"`
	CreateTime            string `json:"createTime"` // see Created
	ModifyTime            string `json:"modifyTime"` // see Modified
	Description           string `json:"description"`
	ReleaseState          string `json:"releaseState"` // "debug" or "release"
	Latest                bool   `json:"latest"`       // no template of the vendor and name has a higher version
	SupportedScheduleType string `json:"supportedScheduleType"`
	UsedServices          string `json:"usedServices"`
	UsedTemplates         string `json:"usedTemplates"`
}

// Created gives CreateTime; zero where it cannot be read.
func (t ServiceTemplate) Created() time.Time { return templateTime(t.CreateTime) }

// Modified gives ModifyTime; zero where it cannot be read.
func (t ServiceTemplate) Modified() time.Time { return templateTime(t.ModifyTime) }

func templateTime(text string) time.Time {
	at, err := time.Parse("2006-01-02T15:04:05.000-0700", text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// TemplateImportOptions are the parameters of an import of service templates; as in ImportOptions.
type TemplateImportOptions struct {
	IdempotencyKey string
	OnConflict     string
	Progress       func(sent, total int64)
}

// The states of a TemplateImport.
const (
	TemplateImportSucceeded = "success"
	TemplateImportRunning   = "running" // or queued: WatchJob follows it
	TemplateImportQueued    = "queued"
)

// TemplateImport is an import of service templates that has succeeded, or goes on.
type TemplateImport struct {
	JobID     string            `json:"instanceID"` // a UUID
	State     string            `json:"state"`
	Templates []string          `json:"affectedResource"` // URLs, in the bundle's order; none while it goes on
	Messages  []TemplateMessage `json:"result"`           // one for each
}

// TemplateMessage is what the service says of a template.
type TemplateMessage struct {
	Message string `json:"message"`
	ID      string `json:"messageID"`
}

// ImportTemplates uploads a .st, or a .zip with several, and waits until its import has ended, for as long as the service
// waits. What is wrong with the file is an *Error of status 400. Arguments and refusals before the upload are as with
// Import.
func (c *Client) ImportTemplates(ctx context.Context, name string, body io.Reader, size int64, opts TemplateImportOptions) (TemplateImport, error) {
	const what = "import the service templates"
	var answer TemplateImport
	err := c.uploadPart(ctx, what, path("Automation", "v1", "services", "ServiceTemplates", "actions", "import", "invoke"), templatePart, name, body, size,
		ImportOptions{IdempotencyKey: opts.IdempotencyKey, OnConflict: opts.OnConflict, Progress: opts.Progress}, &answer)
	if err == nil && answer.JobID == "" {
		err = fmt.Errorf("%s: the answer carries no instanceID", what)
	}
	return answer, err
}

// TemplateFilter chooses service templates. Empty fields choose all.
type TemplateFilter struct {
	Q        string   // words, each of which is somewhere in the names, vendor, tags or description
	Tags     []string // all of which it has
	VendorID string
	KeyName  string
	Version  string
	Where    string // in HQL, such as "version ge '01.20.00' and latest = true"
	SortBy   string // in HQL, such as "vendorID, version desc"
	Offset   int
	Limit    int // 1 to 1000; 0 means 1000
}

func (f TemplateFilter) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{
		"q": f.Q, "tags": strings.Join(f.Tags, ","), "vendorID": f.VendorID, "keyName": f.KeyName, "version": f.Version,
		"HQL::filter": f.Where, "HQL::sortBy": f.SortBy,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if f.Offset > 0 {
		query.Set("HQL::offset", strconv.Itoa(f.Offset))
	}
	if f.Limit > 0 {
		query.Set("pageSize", strconv.Itoa(f.Limit))
	}
	return query
}

// TemplateList is a part of a list of service templates.
type TemplateList struct {
	Templates []ServiceTemplate `json:"data"`
	Count     int               `json:"count"` // of all that the filter chooses
}

// ListTemplates lists service templates of the project.
func (c *Client) ListTemplates(ctx context.Context, filter TemplateFilter) (TemplateList, error) {
	var list TemplateList
	err := c.template(ctx, "list service templates", http.MethodGet, path("Automation", "v1", "objects", "ServiceTemplates"), filter.query(), &list)
	return list, err
}

// ShowTemplate shows a service template; *Error with status 404 where there is none.
func (c *Client) ShowTemplate(ctx context.Context, id int64) (ServiceTemplate, error) {
	var t ServiceTemplate
	err := c.template(ctx, fmt.Sprintf("show service template %d", id), http.MethodGet, templatePath(id), nil, &t)
	return t, err
}

// DeleteTemplate moves a service template to the trash. One that is not there is no error.
func (c *Client) DeleteTemplate(ctx context.Context, id int64) error {
	return c.template(ctx, fmt.Sprintf("delete service template %d", id), http.MethodDelete, templatePath(id), nil, nil)
}

// ExportTemplate writes a service template's file to w, as it was imported. ErrArchiveChanged where what arrived does not
// have the announced SHA-256; what was written then is of no use.
func (c *Client) ExportTemplate(ctx context.Context, id int64, w io.Writer) (Archive, error) {
	what := fmt.Sprintf("export service template %d", id)
	req, err := c.templateRequest(ctx, http.MethodPost, templatePath(id)+path("actions", "export", "invoke"), nil)
	if err != nil {
		return Archive{}, fmt.Errorf("%s: %w", what, err)
	}
	req.Header.Set("Accept", "application/octet-stream")
	req.Header.Set("Accept-Encoding", "identity") // the digest is of the file itself
	resp, err := c.send(ctx, what, req)
	if err != nil {
		return Archive{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	archive := Archive{SHA256: strings.Trim(resp.Header.Get("ETag"), `"`)}
	if digest, err := hex.DecodeString(archive.SHA256); err != nil || len(digest) != sha256.Size {
		return Archive{}, fmt.Errorf("%s: %w", what, foreignAnswer(resp, "the answer is not Assetflow's (no file with its SHA-256)"))
	}
	if _, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition")); err == nil {
		archive.FileName = params["filename"][strings.LastIndexAny(params["filename"], `/\`)+1:]
	}
	sum := sha256.New()
	if archive.Size, err = io.Copy(io.MultiWriter(w, sum), resp.Body); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return Archive{}, fmt.Errorf("%s: %w", what, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != archive.SHA256 {
		return Archive{}, fmt.Errorf("%s: %w: SHA-256 %s instead of %s", what, ErrArchiveChanged, got, archive.SHA256)
	}
	return archive, nil
}

func templatePath(id int64) string {
	return path("Automation", "v1", "objects", "ServiceTemplates", strconv.FormatInt(id, 10))
}

// template makes a call about service templates, again where it only reads and the service says "not now".
func (c *Client) template(ctx context.Context, what, method, path string, query url.Values, into any) error {
	for try := 1; ; try++ {
		err := c.templateOnce(ctx, what, method, path, query, into)
		if err == nil || method != http.MethodGet || try == readTries || ctx.Err() != nil || !worthRepeating(err) {
			return err
		}
		if err := c.pause(ctx, try, err); err != nil {
			return err
		}
	}
}

func (c *Client) templateOnce(ctx context.Context, what, method, path string, query url.Values, into any) error {
	limited, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	req, err := c.templateRequest(limited, method, path, query)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return c.exchange(ctx, what, req, into)
}

func (c *Client) templateRequest(ctx context.Context, method, path string, query url.Values) (*http.Request, error) {
	req, err := c.newRequest(ctx, method, path, query, nil)
	if err != nil {
		return nil, err
	}
	c.nameProject(req)
	return req, c.identify(req)
}

// nameProject names the project to a contract whose paths do not.
func (c *Client) nameProject(req *http.Request) {
	if c.cfg.ProjectID != "" {
		req.Header.Set("X-Project-Id", c.cfg.ProjectID)
	}
}
