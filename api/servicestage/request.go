package servicestage

import (
	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/fault"
)

// Bounds of pages. They are those of the catalog's lists.
const (
	maxLimit  = 100
	maxOffset = 1<<31 - 1
)

// checkHeaders refuses malformed headers of a request that starts a job.
func checkHeaders(c *gin.Context) {
	if !operationOf(c).startsJob {
		return
	}
	if err := middleware.CheckSubmission(c.Request); err != nil {
		WriteError(c, err)
		return
	}
	if c.GetHeader(middleware.HeaderOnConflict) != "" {
		WriteError(c, badParameter("The header %s has no meaning here: jobs on add-ons do not wait for each other.", middleware.HeaderOnConflict))
	}
}

// checkQuery refuses a query that generated code would silently read in part.
func checkQuery(c *gin.Context) {
	if err := middleware.CheckQuery(c.Request); err != nil {
		WriteError(c, err)
	}
}

// checkBody reads the body.
func checkBody(c *gin.Context) {
	if err := middleware.ReadBody(c.Request, operationOf(c).takesBody); err != nil {
		WriteError(c, err)
	}
}

// pageOf reads what part of a list is asked for.
func pageOf(limit, offset *int) (int, int, error) {
	most, before := maxLimit, 0
	if limit != nil {
		if most = *limit; most < 1 || most > maxLimit {
			return 0, 0, badParameter("The parameter limit must be a number from 1 to %d.", maxLimit)
		}
	}
	if offset != nil {
		if before = *offset; before < 0 || before > maxOffset {
			return 0, 0, badParameter("The parameter offset must be a number from 0 to %d.", maxOffset)
		}
	}
	return most, before, nil
}

// environmentID reads the id of an environment. What cannot be one is as unknown as one that is not there.
func environmentID(text string) (string, error) {
	id, ok := middleware.JobID(text)
	if !ok {
		return "", fault.New(fault.NotFound, codeNoEnvironment, "The environment does not exist.")
	}
	return id, nil
}

// addonID reads the id of an add-on, as environmentID does.
func addonID(text string) (string, error) {
	id, ok := middleware.JobID(text)
	if !ok {
		return "", fault.New(fault.NotFound, codeNoAddon, "The add-on does not exist.")
	}
	return id, nil
}

func badParameter(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, middleware.CodeParameter, format, args...)
}

func valueOf[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
