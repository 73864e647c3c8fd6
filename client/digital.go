package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The states of a DigitalAsset that a caller meets.
const (
	AssetCreating = "CREATING" // its main file is not there yet, or a copy is under way
	AssetActived  = "ACTIVED"
	AssetFailed   = "FAILED"   // a copy failed; Reason says why
	AssetDeleting = "DELETING" // in the recycle bin
)

// AssetTypes are the values of DigitalAsset.Type.
var AssetTypes = []string{
	"HUMAN_MODEL", "VOICE_MODEL", "SCENE", "ANIMATION", "VIDEO", "IMAGE", "PPT", "MATERIAL", "NORMAL_MODEL", "COMMON_FILE",
	"HUMAN_MODEL_2D", "BUSINESS_CARD_TEMPLET", "MUSIC", "AUDIO",
}

// AssetStates are the values of DigitalAsset.State.
var AssetStates = []string{
	AssetCreating, AssetFailed, "UNACTIVED", AssetActived, AssetDeleting, "DELETED", "BLOCK", "WAITING_DELETE",
}

// DigitalAsset is a digital asset of the project, as the MetaStudio contract shows it.
type DigitalAsset struct {
	ProjectID        string            `json:"project_id"`
	ID               string            `json:"asset_id"`
	Name             string            `json:"asset_name"`
	Description      string            `json:"asset_description"`
	AppUserID        string            `json:"app_user_id"`
	Type             string            `json:"asset_type"`
	State            string            `json:"asset_state"`
	Reason           string            `json:"reason"` // why a copy failed
	Tags             []string          `json:"tags"`
	ExtraMeta        json.RawMessage   `json:"asset_extra_meta"`  // an object
	SystemProperties []json.RawMessage `json:"system_properties"` // texts and objects
	Order            int64             `json:"asset_order"`
	Files            []DigitalFile     `json:"files"`
	CreatedAt        time.Time         `json:"create_time"`
	UpdatedAt        time.Time         `json:"update_time"`
}

// DigitalMetadata is what is said of a digital asset that is made or changed. What is nil is left out: it stays as it is, or
// empty.
type DigitalMetadata struct {
	Name             *string            `json:"asset_name,omitempty"` // unique in the project; required of a new one
	Type             *string            `json:"asset_type,omitempty"` // one of AssetTypes; required of a new one
	Description      *string            `json:"asset_description,omitempty"`
	Tags             *[]string          `json:"tags,omitempty"`
	ExtraMeta        json.RawMessage    `json:"asset_extra_meta,omitempty"`
	SystemProperties *[]json.RawMessage `json:"system_properties,omitempty"`
	Order            *int64             `json:"asset_order,omitempty"` // only of one that exists
}

// DigitalFilter says which digital assets of the project are listed. Empty fields leave out nothing, but assets in the
// recycle bin are only listed where States names AssetDeleting.
type DigitalFilter struct {
	Name       string // a part of it
	Tag        string
	Types      []string
	States     []string
	IDs        []string // at most 100
	SortKey    string   // "create_time" (the default), "update_time" or "asset_order"
	Descending bool
	Limit      int // of a page; 0 for the service's default of 10, at most 100
	Offset     int
}

// DigitalPage is one page of digital assets.
type DigitalPage struct {
	Count  int            `json:"count"` // all that match, on all pages
	Assets []DigitalAsset `json:"assets"`
}

// CreateDigitalAsset makes an asset without files and gives its id. A name that is taken is refused with the code
// CodeNameTaken.
func (c *Client) CreateDigitalAsset(ctx context.Context, m DigitalMetadata) (id string, err error) {
	var created struct {
		ID string `json:"asset_id"`
	}
	err = c.post(ctx, "create the digital asset", c.studioPath("digital-assets"), m, &created)
	return created.ID, err
}

// ListDigitalAssets lists digital assets of the project, with their files.
func (c *Client) ListDigitalAssets(ctx context.Context, f DigitalFilter) (DigitalPage, error) {
	var page DigitalPage
	err := c.get(ctx, "list digital assets", c.studioPath("digital-assets"), f.query(), &page)
	return page, err
}

func (f DigitalFilter) query() url.Values {
	query := url.Values{}
	set(query, "name", f.Name)
	set(query, "tag", f.Tag)
	set(query, "asset_type", commas(f.Types))
	set(query, "asset_state", commas(f.States))
	set(query, "sort_key", f.SortKey)
	if f.Descending {
		query.Set("sort_dir", "desc")
	}
	for _, id := range f.IDs {
		query.Add("asset_id", id)
	}
	if f.Limit > 0 {
		query.Set("limit", strconv.Itoa(f.Limit))
	}
	if f.Offset > 0 {
		query.Set("offset", strconv.Itoa(f.Offset))
	}
	return query
}

// DigitalAsset asks for one asset with its files, also from the recycle bin.
func (c *Client) DigitalAsset(ctx context.Context, id string) (DigitalAsset, error) {
	var asset DigitalAsset
	err := c.get(ctx, "ask for digital asset "+id, c.studioPath("digital-assets", id), nil, &asset)
	return asset, err
}

// UpdateDigitalAsset changes what is said of an asset, and gives it as it is then.
func (c *Client) UpdateDigitalAsset(ctx context.Context, id string, m DigitalMetadata) (DigitalAsset, error) {
	var asset DigitalAsset
	_, err := c.call(ctx, "change digital asset "+id,
		call{method: http.MethodPut, path: c.studioPath("digital-assets", id), body: m}, &asset)
	return asset, err
}

// DeleteDigitalAsset moves an asset to the recycle bin.
func (c *Client) DeleteDigitalAsset(ctx context.Context, id string) error {
	_, err := c.call(ctx, "delete digital asset "+id,
		call{method: http.MethodDelete, path: c.studioPath("digital-assets", id)}, nil)
	return err
}

// PurgeDigitalAsset removes an asset for good, wherever it is.
func (c *Client) PurgeDigitalAsset(ctx context.Context, id string) error {
	_, err := c.call(ctx, "purge digital asset "+id, call{
		method: http.MethodDelete, path: c.studioPath("digital-assets", id), query: url.Values{"mode": {"force"}},
	}, nil)
	return err
}

// RestoreDigitalAsset brings an asset back from the recycle bin. Refused with CodeNameTaken where another asset has its
// name by now.
func (c *Client) RestoreDigitalAsset(ctx context.Context, id string) error {
	return c.post(ctx, "restore digital asset "+id, c.studioPath("digital-assets", id, "restore"), nil, nil)
}

func (c *Client) studioPath(rest ...string) string {
	return path(append([]string{"v1", c.cfg.ProjectID}, rest...)...)
}
