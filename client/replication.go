package client

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
)

// ReplicationInfo is what one region says to another about an asset, sealed, as a JSON object. It is a secret: whoever has
// it can make a copy until it expires. It prints as a word that says what it is, so that it gets into no log.
type ReplicationInfo []byte

// String does not give the content.
func (ReplicationInfo) String() string { return "[replication info]" }

// Format does not print the content, with any verb.
func (i ReplicationInfo) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(i.String())) }

// LogValue does not give the content.
func (i ReplicationInfo) LogValue() slog.Value { return slog.StringValue(i.String()) }

// MarshalJSON gives the content.
func (i ReplicationInfo) MarshalJSON() ([]byte, error) { return json.RawMessage(i).MarshalJSON() }

// UnmarshalJSON keeps the content as it is.
func (i *ReplicationInfo) UnmarshalJSON(content []byte) error {
	*i = append((*i)[:0], content...)
	return nil
}

// ReplicationInfo asks the region that has an asset for what another one needs to copy it. The asset must be ACTIVED.
func (c *Client) ReplicationInfo(ctx context.Context, assetID string) (ReplicationInfo, error) {
	var info ReplicationInfo
	err := c.get(ctx, "ask for the replication info of "+assetID, c.studioPath("digital-assets", assetID, "replication-info"), nil, &info)
	return info, err
}

// StartCopy has the region copy the asset that a replication info of another region is for, and returns the job's id, a
// UUID. The asset keeps its id; one that is there already becomes equal to the source. The same info again gives the same
// job, so a try that fails where another may not is repeated. A second copy while one of the caller's runs is refused with
// an *Error whose RunningJob is the running one.
func (c *Client) StartCopy(ctx context.Context, info ReplicationInfo) (jobID string, err error) {
	const what = "start the copy"
	for try := 1; ; try++ {
		header, err := c.call(ctx, what, call{
			method: http.MethodPost, path: c.studioPath("digital-assets-by-replication-info"), body: info,
		}, nil)
		if err == nil {
			return startedJob{JobID: header.Get("X-Job-Id")}.id(what)
		}
		if try == readTries || ctx.Err() != nil || !worthRepeating(err) {
			return "", err
		}
		if err := c.pause(ctx, try, err); err != nil {
			return "", err
		}
	}
}
