package chaos

import (
	"context"
	"errors"
	"net/http"

	"assetflow/client"
)

func newCaller(s *stack, accessKey, secretKey string) *client.Client {
	return client.New(client.Config{
		Endpoint: s.endpoint, ProjectID: s.project.ID, InstanceID: s.instance.ID, AccessKey: accessKey, SecretKey: secretKey,
	})
}

// passing tells whether a request that failed so may succeed when it is made again.
func passing(err error) bool {
	var away *client.UnreachableError
	var refused *client.Error
	switch {
	case errors.As(err, &away), errors.Is(err, context.DeadlineExceeded):
		return true
	case errors.As(err, &refused):
		return refused.Status >= 500 || refused.Status == http.StatusConflict || refused.Status == http.StatusTooManyRequests ||
			refused.RunningJob() != ""
	}
	return false
}
