package api

import "github.com/gin-gonic/gin"

// Routes are those that New registers.
func Routes(opts Options) gin.RoutesInfo { return routes(opts.withDefaults()).Routes() }
