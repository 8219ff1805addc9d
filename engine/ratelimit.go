package engine

import (
	"context"
	"strconv"

	"portolan/jsonata"
	"portolan/plain"
)

// RateLimit is what a provider's answer says of its limits; "" for what it does not say.
// Reset is in seconds from now.
type RateLimit struct{ Limit, Remaining, Reset string }

// epochFrom is the number from which a reset is an epoch in seconds, not a wait.
const epochFrom = 1_000_000_000

// rateLimit reads an answer's limits; what it does not tell stays as it was before. A
// mapping mistake here is not worth a failed call: it gives nothing.
func (e *Engine) rateLimit(ctx context.Context, in *Integration, reply *Reply, was RateLimit) RateLimit {
	rules := in.rateLimit
	if rules == (rateLimitDoc{}) {
		return was
	}
	ctx, cancel := in.language.WithDeadline(ctx)
	defer cancel()
	bindings, err := jsonata.Ready(map[string]any{"headers": headerBinding(reply), "status": statusBinding(reply)})
	if err != nil {
		return was
	}
	read := func(x *jsonata.Expr, was string) string {
		if x == nil {
			return was
		}
		v, present, err := x.EvalReady(ctx, bindings)
		if err != nil || !present || v == nil {
			return was
		}
		return plain.Text(v)
	}
	rate := RateLimit{Limit: read(rules.limit, was.Limit), Remaining: read(rules.remaining, was.Remaining), Reset: read(rules.reset, "")}
	if rate.Reset == "" {
		rate.Reset = was.Reset
		return rate
	}
	if epoch, err := strconv.ParseInt(rate.Reset, 10, 64); err == nil && epoch >= epochFrom {
		rate.Reset = strconv.FormatInt(max(epoch-e.now().Unix(), 0), 10)
	}
	return rate
}
