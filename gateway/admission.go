package gateway

import (
	"context"
	"errors"

	"golang.org/x/sync/semaphore"
)

// smallAnswer is the largest answer, in bytes, that is decoded at once.
const smallAnswer = 64 << 10

// WithDecodedAnswers limits the total size, in bytes, of the providers' answers over 64 KiB that are
// decoded at a time. One answer of any size is always allowed. By default their size is not limited.
//
// A decoded answer takes up to 50 times its size.
func WithDecodedAnswers(bytes int64) Option {
	return func(s *settings) { s.decoded, s.maxDecoded = semaphore.NewWeighted(bytes), bytes }
}

var errManyAnswers = errors.New("it is transforming other large answers of providers")

// admission is the part of the limit of WithDecodedAnswers that one call holds.
type admission struct {
	*settings
	held int64
}

// admit waits until an answer of that many bytes may be decoded, or ctx ends. It does not wait for a
// further large answer of the call: there is room for it or not.
func (a *admission) admit(ctx context.Context, bytes int) error {
	if a.decoded == nil || bytes <= smallAnswer {
		return nil
	}
	weight := min(int64(bytes), a.maxDecoded-a.held)
	switch {
	case weight == 0: // it holds everything
	case a.held > 0 && !a.decoded.TryAcquire(weight): // calls that hold a part must not wait for each other
		return errManyAnswers
	case a.held == 0 && a.decoded.Acquire(ctx, weight) != nil:
		if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
			return cause
		}
		return errManyAnswers
	}
	a.held += weight
	return nil
}

// leave lets others use what the call holds.
func (a *admission) leave() {
	if a.decoded != nil {
		a.decoded.Release(a.held)
	}
}
