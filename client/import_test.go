package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/auth/signature"
	"assetflow/client"
)

func TestUploadIsFramedByteForByte(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, disposition, query string
		body                     []byte
		opts                     client.ImportOptions
	}{
		"plain":       {"shop.zip", `filename="shop.zip"`, "", []byte("PK\x05\x06 zip"), client.ImportOptions{}},
		"empty":       {"shop.zip", `filename="shop.zip"`, "", nil, client.ImportOptions{}},
		"large":       {"shop.zip", `filename="shop.zip"`, "", bytes.Repeat([]byte("0123456789abcdef"), 200_000), client.ImportOptions{}},
		"odd name":    {`/tmp/x/a "b"` + "\r\n" + `ü.zip`, `filename="a \"b\"%0D%0Aü.zip"`, "", []byte("x"), client.ImportOptions{}},
		"all options": {"shop.zip", `filename="shop.zip"`, "?datasource_overwrite=true&prefix=a+b%2Fc&type=Merge", []byte("x"), client.ImportOptions{Type: client.Merge, Prefix: "a b/c", DataSourceOverwrite: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			var failed error // require must not be called on the server's goroutine
			cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
				failed = func() error {
					if want := "/v2/" + project + "/instances/" + instance + "/assets/import" + c.query; r.Method != http.MethodPost || r.RequestURI != want {
						return fmt.Errorf("%s %s instead of %s", r.Method, r.RequestURI, want)
					}
					if got := r.Header.Get("Expect"); got != "100-continue" {
						return fmt.Errorf("Expect: %q", got)
					}
					a, err := signature.Parse(r.Header.Get("Authorization"))
					if err != nil {
						return err
					}
					if err := signature.Verify(r, a, "SK", now); err != nil {
						return err
					}
					if got := r.Header.Get(signature.PayloadHeader); got != signature.UnsignedPayload {
						return fmt.Errorf("payload %q", got)
					}
					kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
					if err != nil || kind != "multipart/form-data" {
						return fmt.Errorf("Content-Type %s: %w", kind, err)
					}
					body, err := io.ReadAll(r.Body)
					if err != nil {
						return err
					}
					want := "--" + params["boundary"] + "\r\n" +
						`Content-Disposition: form-data; name="ImportAssetRequestBody"; ` + c.disposition + "\r\n" +
						"Content-Type: application/octet-stream\r\n\r\n" +
						string(c.body) +
						"\r\n--" + params["boundary"] + "--\r\n"
					if string(body) != want {
						return fmt.Errorf("the body is %.300q", body)
					}
					if r.ContentLength != int64(len(want)) || len(r.TransferEncoding) != 0 {
						return fmt.Errorf("length %d, %v", r.ContentLength, r.TransferEncoding)
					}
					return nil
				}()
				answerJSON(w, `{"job_id":"`+jobHex+`"}`)
			}, func(cfg *client.Config) {
				cfg.AccessKey, cfg.SecretKey, cfg.Now = "AK", "SK", func() time.Time { return now }
			})
			var sent []int64
			c.opts.Progress = func(n, total int64) {
				sent = append(sent, n)
				require.EqualValues(t, len(c.body), total)
			}
			id, err := cl.Import(t.Context(), c.file, bytes.NewReader(c.body), int64(len(c.body)), c.opts)
			require.NoError(t, err)
			require.NoError(t, failed)
			require.Equal(t, jobHex, id)
			require.IsIncreasing(t, append([]int64{-1, 0}, sent...))
			if len(c.body) > 0 {
				require.EqualValues(t, len(c.body), sent[len(sent)-1])
			}
		})
	}
}

func TestUploadWithATokenIsNotSigned(t *testing.T) {
	t.Parallel()
	var header http.Header
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		_, _ = io.Copy(io.Discard, r.Body)
		answerJSON(w, `{"job_id":"`+jobHex+`"}`)
	})
	_, err := cl.Import(t.Context(), "a.zip", strings.NewReader("x"), 1, client.ImportOptions{})
	require.NoError(t, err)
	require.Equal(t, "t0ken", header.Get("X-Auth-Token"))
	require.Empty(t, header.Get("Authorization"))
	require.Equal(t, "assetflow", header.Get("User-Agent"))
}

func TestARefusalComesBeforeTheTransfer(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		answer(w, 403, "application/json", `{"error_code":"ROMA.10012","error_msg":"An asset management task is running.",
			"error_details":"job `+strings.ToUpper(jobUUID)+`"}`)
	})
	read := 0
	body := iotest.ErrReader(errors.New("must not be read"))
	_, err := cl.Import(t.Context(), "a.zip", io.MultiReader(readerFunc(func(p []byte) (int, error) { read++; return 0, io.EOF }), body), 1<<30,
		client.ImportOptions{Progress: func(int64, int64) { t.Error("nothing was sent") }})
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, jobHex, refusal.RunningJob())
	require.Zero(t, read)
	require.EqualValues(t, 1, calls.Load())
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestASubmissionIsNeverRepeated(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(w http.ResponseWriter){
		"unavailable": func(w http.ResponseWriter) {
			answer(w, 503, "application/json", `{"error_code":"ROMA.10010","error_msg":"away"}`)
		},
		"a broken connection": func(w http.ResponseWriter) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = conn.Close()
			}
		},
		"no job id": func(w http.ResponseWriter) { answerJSON(w, `{}`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				fail(w)
			})
			_, err := cl.Import(t.Context(), "a.zip", strings.NewReader("x"), 1, client.ImportOptions{})
			require.Error(t, err)
			_, _, err = cl.Login(t.Context(), "d", "u", "p", "")
			require.Error(t, err)
			_, err = cl.CancelJob(t.Context(), jobHex)
			if name != "no job id" {
				require.Error(t, err)
			}
			_, err = cl.StartExport(t.Context(), client.Selection{}, client.StartOptions{IdempotencyKey: "k"})
			require.Error(t, err)
			_, err = cl.StartDeletion(t.Context(), client.Selection{}, client.StartOptions{})
			require.Error(t, err)
			require.EqualValues(t, 5, calls.Load())
		})
	}
}

func TestAPackageThatIsNotWhatItSaid(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	for name, c := range map[string]struct {
		body io.Reader
		size int64
		want string
	}{
		"shorter":     {strings.NewReader("abc"), 5, "import the package: read it: it has 3 bytes instead of 5: was it changed meanwhile?"},
		"longer":      {strings.NewReader("abcdef"), 5, "import the package: read it: it has more than 5 bytes: was it changed meanwhile?"},
		"broken":      {io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), 5, "import the package: read it: disk on fire"},
		"broken late": {io.MultiReader(strings.NewReader("abcde"), iotest.ErrReader(broken)), 5, "import the package: read it: disk on fire"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					t.Error("the body arrived whole")
				}
			})
			_, err := cl.Import(t.Context(), "a.zip", c.body, c.size, client.ImportOptions{})
			require.EqualError(t, err, c.want)
			var away *client.UnreachableError
			require.False(t, errors.As(err, &away), "the service is not to blame")
		})
	}
}

func TestAnUploadThatIsGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	arrived := make(chan struct{})
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1))
		close(arrived)
		_, _ = io.Copy(io.Discard, r.Body)
	})
	var over atomic.Bool
	endless := readerFunc(func(p []byte) (int, error) {
		if over.Load() {
			t.Error("the package is read although Import has returned")
		}
		return len(p), nil
	})
	go func() {
		<-arrived
		cancel()
	}()
	_, err := cl.Import(ctx, "a.zip", endless, 1<<50, client.ImportOptions{})
	over.Store(true)
	require.ErrorIs(t, err, context.Canceled)
}
