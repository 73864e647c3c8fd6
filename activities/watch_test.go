package activities_test

import (
	"context"

	"go.temporal.io/sdk/interceptor"
)

// watch is told of every heartbeat when it is recorded: the SDK keeps most of them for a while before the server hears.
type watch struct {
	interceptor.WorkerInterceptorBase
	told func(details any)
}

func (w *watch) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &watchedStep{interceptor.ActivityInboundInterceptorBase{Next: next}, w.told}
}

type watchedStep struct {
	interceptor.ActivityInboundInterceptorBase
	told func(details any)
}

func (s *watchedStep) Init(out interceptor.ActivityOutboundInterceptor) error {
	return s.Next.Init(&watchedBeats{interceptor.ActivityOutboundInterceptorBase{Next: out}, s.told})
}

type watchedBeats struct {
	interceptor.ActivityOutboundInterceptorBase
	told func(details any)
}

func (b *watchedBeats) RecordHeartbeat(ctx context.Context, details ...any) {
	b.told(details[0])
	b.Next.RecordHeartbeat(ctx, details...)
}
