package regions

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"assetflow/auth"
	"assetflow/auth/signature"
	"assetflow/catalog"
	"assetflow/devstack"
)

// person is somebody with a project of their own in a region, who speaks to it as the vendor's clients do.
type person struct {
	t                    *testing.T
	endpoint, project    string
	accessKey, secretKey string
}

// newPerson makes a person. The region's API makes neither people nor projects.
func (r *region) newPerson(t *testing.T) *person {
	t.Helper()
	a, err := devstack.Attach(r.spec.DataDir)
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), a.CatalogURL, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	keys, err := auth.ParseMasterKey(a.MasterKey)
	require.NoError(t, err)
	people := auth.New(c, keys)
	project, err := c.CreateProject(t.Context(), "acme", "p-"+uuid.NewString())
	require.NoError(t, err)
	user, err := people.AddUser(t.Context(), "acme", "u-"+uuid.NewString(), "pass-"+uuid.NewString())
	require.NoError(t, err)
	require.NoError(t, people.GrantRole(t.Context(), user.ID, project.ID, string(auth.RoleDevelop)))
	p := &person{t: t, endpoint: a.Credentials.Endpoint, project: project.ID}
	p.accessKey, p.secretKey, err = people.AddAccessKey(t.Context(), user.ID)
	require.NoError(t, err)
	return p
}

// answer is an answer that was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send makes a signed request.
func (p *person) send(method, path string, body any) answer {
	p.t.Helper()
	text, ok := body.(string)
	if !ok && body != nil {
		encoded, err := json.Marshal(body)
		require.NoError(p.t, err)
		text = string(encoded)
	}
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.endpoint+path, strings.NewReader(text))
	require.NoError(p.t, err)
	request.Header.Set("Content-Type", "application/json")
	require.NoError(p.t, signature.Sign(request, p.accessKey, p.secretKey, time.Now()))
	return p.exchange(request)
}

func (p *person) exchange(request *http.Request) answer {
	p.t.Helper()
	response, err := http.DefaultClient.Do(request)
	require.NoError(p.t, err)
	defer func() { _ = response.Body.Close() }()
	read, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	return answer{response.StatusCode, response.Header, read}
}

// call makes a request under the project's path that must be answered with 200.
func (p *person) call(method, path string, body, into any) http.Header {
	p.t.Helper()
	a := p.send(method, "/v1/"+p.project+path, body)
	require.Equal(p.t, http.StatusOK, a.status, "%s %s: %s", method, path, a.body)
	require.NotEmpty(p.t, a.header.Get("X-Request-Id"))
	if into != nil {
		require.NoError(p.t, json.Unmarshal(a.body, into))
	}
	return a.header
}

type object = map[string]any

// asset is the contract's asset.
type asset struct {
	ProjectID        string   `json:"project_id"`
	AssetID          string   `json:"asset_id"`
	AssetName        string   `json:"asset_name"`
	AssetDescription string   `json:"asset_description"`
	AssetType        string   `json:"asset_type"`
	AssetState       string   `json:"asset_state"`
	Reason           string   `json:"reason"`
	Tags             []string `json:"tags"`
	AssetExtraMeta   object   `json:"asset_extra_meta"`
	SystemProperties []string `json:"system_properties"`
	AssetOrder       int64    `json:"asset_order"`
	Files            []file   `json:"files"`
}

// file is the contract's file.
type file struct {
	FileID            string `json:"file_id"`
	FileName          string `json:"file_name"`
	FileMD5           string `json:"file_md5"`
	FileSize          int64  `json:"file_size"`
	FileType          string `json:"file_type"`
	AssetFileCategory string `json:"asset_file_category"`
	DownloadURL       string `json:"download_url"`
	State             string `json:"state"`
}

func (p *person) newAsset(name string) string {
	p.t.Helper()
	var created asset
	p.call("POST", "/digital-assets", object{
		"asset_name": name, "asset_type": "VIDEO", "asset_description": "<ä>", "tags": []string{"t1", "t2"},
		"asset_extra_meta": object{"a": 1, "b": object{"c": "<d>"}}, "system_properties": []string{"s"},
	}, &created)
	return created.AssetID
}

// upload takes a file the whole way: announce, PUT to the presigned URL, confirm.
func (p *person) upload(assetID, name, category string, content []byte) string {
	p.t.Helper()
	sum := md5.Sum(content)
	digest := base64.StdEncoding.EncodeToString(sum[:])
	var created struct {
		FileID    string `json:"file_id"`
		UploadURL string `json:"upload_url"`
	}
	p.call("POST", "/files", object{
		"file_name": name, "file_md5": digest, "file_size": len(content), "file_type": "mp4", "asset_id": assetID,
		"asset_file_category": category,
	}, &created)
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPut, created.UploadURL, bytes.NewReader(content))
	require.NoError(p.t, err)
	request.Header.Set("Content-MD5", digest)
	put := p.exchange(request)
	require.Equal(p.t, http.StatusOK, put.status, string(put.body))
	p.call("POST", "/files/"+created.FileID+"/complete", object{"state": "CREATED"}, nil)
	return created.FileID
}

func (p *person) show(assetID string) (a asset) {
	p.t.Helper()
	p.call("GET", "/digital-assets/"+assetID, nil, &a)
	return a
}

// replicationInfo asks for what another region needs to copy the asset.
func (p *person) replicationInfo(assetID string) string {
	p.t.Helper()
	var info json.RawMessage
	p.call("GET", "/digital-assets/"+assetID+"/replication-info", nil, &info)
	return string(info)
}

const copyPath = "/digital-assets-by-replication-info"

// copy starts a copy and gives the job's id.
func (p *person) copy(info string) string {
	p.t.Helper()
	header := p.call("POST", copyPath, info, nil)
	require.NotEmpty(p.t, header.Get("X-Job-Id"))
	return header.Get("X-Job-Id")
}

// refused is a copy that is not begun; it gives the message.
func (p *person) refused(info, code string) string {
	p.t.Helper()
	a := p.send("POST", "/v1/"+p.project+copyPath, info)
	var refusal struct {
		ErrorCode string `json:"error_code"`
		ErrorMsg  string `json:"error_msg"`
	}
	require.NoError(p.t, json.Unmarshal(a.body, &refusal), string(a.body))
	require.Equal(p.t, http.StatusBadRequest, a.status, string(a.body))
	require.Equal(p.t, code, refusal.ErrorCode, refusal.ErrorMsg)
	return refusal.ErrorMsg
}

// job is a job as the native API shows it.
type job struct {
	ID, Kind, State, Step string
	Progress              float64
	Result                catalog.CopyResult
	Reasons               []catalog.Reason
}

func (p *person) job(id string) (j job) {
	p.t.Helper()
	a := p.send("GET", "/api/v1/jobs/"+id, nil)
	require.Equal(p.t, http.StatusOK, a.status, string(a.body))
	require.NoError(p.t, json.Unmarshal(a.body, &j))
	return j
}

// await waits until the job has ended.
func (p *person) await(id string) (j job) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		j = p.job(id)
		return j.State != string(catalog.JobRunning)
	}, 3*time.Minute, 20*time.Millisecond, "the job does not end")
	return j
}

// copied copies and requires that it succeeds.
func (p *person) copied(info string) job {
	p.t.Helper()
	j := p.await(p.copy(info))
	require.Equal(p.t, string(catalog.JobSucceeded), j.State, "%+v", j.Reasons)
	return j
}

func (p *person) get(link string) []byte {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, link, nil)
	require.NoError(p.t, err)
	a := p.exchange(request)
	require.Equal(p.t, http.StatusOK, a.status, string(a.body))
	return a.body
}

// requireEqualAssets compares what the contract shows of two regions' assets, and the bytes of their files.
func requireEqualAssets(t *testing.T, from, to *person, assetID string) {
	t.Helper()
	a, b := from.show(assetID), to.show(assetID)
	require.Equal(t, "ACTIVED", b.AssetState, b.Reason)
	require.Equal(t, to.project, b.ProjectID)
	require.Len(t, b.Files, len(a.Files))
	byID := map[string]file{}
	for _, f := range b.Files {
		link, err := url.Parse(f.DownloadURL)
		require.NoError(t, err)
		require.Equal(t, south.spec.S3Addr, link.Host)
		byID[f.FileID] = f
	}
	for _, f := range a.Files {
		other, ok := byID[f.FileID]
		require.True(t, ok, "no file %s", f.FileID)
		content := to.get(other.DownloadURL)
		require.True(t, bytes.Equal(from.get(f.DownloadURL), content), f.FileName)
		sum := md5.Sum(content)
		require.Equal(t, f.FileMD5, base64.StdEncoding.EncodeToString(sum[:]))
		f.DownloadURL, other.DownloadURL = "", ""
		require.Equal(t, f, other)
	}
	a.Files, b.Files, a.ProjectID, b.ProjectID = nil, nil, "", ""
	require.Equal(t, a, b)
}
