package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"portolan/jsonata"
	"portolan/plain"
)

// Read reads the main call's reply. Its error is an *Error of KindProvider, for a failure by the
// integration's `errors`, KindMapping or KindCanceled. If needJSON is set and an expression reads the answer, a
// body that is neither JSON nor empty is a failure too. Read does no I/O.
func (p *Plan) Read(ctx context.Context, reply *Reply, needJSON bool) (*Answer, error) {
	return p.main.read(ctx, p.title, reply, needJSON && p.needsAnswer)
}

func (s *step) read(ctx context.Context, title string, reply *Reply, needJSON bool) (*Answer, error) {
	answer := readAnswer(reply, s.Integration.language.MaxValues())
	if err := s.checkAnswer(ctx, title, answer); err != nil {
		return nil, err
	}
	if needJSON && !answer.isJSON && len(bytes.TrimSpace(reply.Body)) > 0 {
		causes := map[Cause]string{CauseNotJSON: "is not JSON", CauseTooDeep: "is nested too deep", CauseTooManyValues: "has too many values"}
		return nil, s.unusable(title, reply, answer.notJSON, "the provider's answer "+causes[answer.notJSON])
	}
	if needJSON && answer.isJSON && s.record != nil {
		record, _ := plain.Lookup(answer.body, s.record...)
		if _, ok := record.(map[string]any); !ok {
			return nil, s.unusable(title, reply, CauseNoRecord, "the provider's answer does not contain the record, a JSON object")
		}
	}
	return answer, nil
}

func (s *step) unusable(title string, reply *Reply, cause Cause, message string) error {
	return &Error{
		Kind: KindProvider, Op: s.op(title), Reply: reply, Cause: cause,
		Provider: &Provider{Status: statusBadGateway, Message: message},
	}
}

func (s *step) op(title string) string {
	if s.name == mainStep {
		return title
	}
	return title + ": " + s.name
}

// checkAnswer applies the integration's `errors`; nil for success.
func (s *step) checkAnswer(ctx context.Context, title string, answer *Answer) error {
	ctx, cancel := s.Integration.language.WithDeadline(ctx)
	defer cancel()
	reply := answer.reply
	if reply.Status < 200 || reply.Status > 299 && reply.Status < statusBadRequest {
		cause := CauseRedirect
		if reply.Status < 200 {
			cause = CauseOther
		}
		return s.unusable(title, reply, cause, fmt.Sprintf("the provider answered with status %d", reply.Status))
	}
	rules := s.Integration.errors
	if rules.when == nil && reply.Status < statusBadRequest {
		return nil
	}
	values := map[string]any{"headers": answer.header, "status": statusBinding(reply)}
	switch {
	case answer.isJSON:
		values["error"] = answer.body
	case answer.notJSON == CauseNotJSON && len(reply.Body) > 0:
		values["error"] = string(answer.text)
	}
	bindings := jsonata.NewBindings(values)
	if rules.when != nil {
		failed, _, err := evaluate(ctx, rules.when, bindings, place{title, s.name, "errors.when"})
		if err != nil {
			return withReply(err, reply)
		}
		if !plain.Truthy(failed) && reply.Status < statusBadRequest {
			return nil
		}
	}
	failure, err := s.readFailure(ctx, title, reply, bindings)
	if err != nil {
		return withReply(err, reply)
	}
	return &Error{Kind: KindProvider, Op: s.op(title), Provider: failure, Reply: reply}
}

func withReply(err error, reply *Reply) error {
	if e, ok := errors.AsType[*Error](err); ok {
		e.Reply = reply
	}
	return err
}

func statusBinding(reply *Reply) any { return json.Number(strconv.Itoa(reply.Status)) }

func (s *step) readFailure(ctx context.Context, title string, reply *Reply, bindings jsonata.Bindings) (*Provider, error) {
	rules := s.Integration.errors
	out := &Provider{Status: reply.Status}
	if reply.Status < statusBadRequest || reply.Status > maxStatus {
		out.Status = statusBadGateway
	}
	read := func(x *jsonata.Expr, key string) (any, error) {
		if x == nil {
			return nil, nil
		}
		v, _, err := evaluate(ctx, x, bindings, place{title, s.name, key})
		return v, err
	}
	status, err := read(rules.status, "errors.status")
	if err != nil {
		return nil, err
	}
	if n, ok := plain.Int(status); ok && n >= statusBadRequest && n <= maxStatus {
		out.Status = n
	}
	if out.Status == statusProxyAuthRequired { // callers would look for credentials of their own proxy
		out.Status = statusBadGateway
	}
	message, err := read(rules.message, "errors.message")
	if err != nil {
		return nil, err
	}
	text, _ := message.(string)
	if out.Message = strings.TrimSpace(text); out.Message == "" {
		out.Message = findMessage(bindings.Plain("error"), 0)
	}
	if out.Message == "" {
		out.Message = fmt.Sprintf("the provider answered with status %d", reply.Status)
	}
	fields, err := read(rules.fields, "errors.fields")
	if err != nil {
		return nil, err
	}
	out.Fields = fieldErrors(fields)
	return out, nil
}

func fieldErrors(v any) []FieldError {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var out []FieldError
	for _, item := range list {
		object, _ := item.(map[string]any)
		field, _ := object["field"].(string)
		message, _ := object["message"].(string)
		if field != "" {
			out = append(out, FieldError{Field: field, Message: message})
		}
	}
	return out
}

// findMessage returns the text of an error body that is most likely its message.
func findMessage(v any, depth int) string {
	if depth > 4 {
		return ""
	}
	switch v := v.(type) {
	case string:
		if v = strings.TrimSpace(v); strings.HasPrefix(v, "<") { // HTML
			return ""
		}
		return v
	case []any:
		for _, item := range v {
			if m := findMessage(item, depth+1); m != "" {
				return m
			}
		}
	case map[string]any:
		for _, key := range []string{"message", "MESSAGE", "error_description", "detail", "title", "error", "errors", "reason", "description"} {
			if m := findMessage(v[key], depth+1); m != "" {
				return m
			}
		}
	}
	return ""
}

// RateLimit is the rate limit of a provider's answer; "" for what is unknown. Reset is in seconds
// from now.
type RateLimit struct{ Limit, Remaining, Reset string }

// minEpoch is the smallest reset that is an epoch in seconds, not a duration.
const minEpoch = 1_000_000_000

// rateLimit returns an answer's limits, and earlier for those that are missing or that an
// expression fails to read.
func (e *Engine) rateLimit(ctx context.Context, in *Integration, reply *Reply, earlier RateLimit) RateLimit {
	rules := in.rateLimit
	if rules == (rateLimitDoc{}) {
		return earlier
	}
	ctx, cancel := in.language.WithDeadline(ctx)
	defer cancel()
	bindings := jsonata.NewBindings(map[string]any{"headers": reply.PublicHeader(), "status": statusBinding(reply)})
	read := func(x *jsonata.Expr, otherwise string) string {
		if x == nil {
			return otherwise
		}
		v, present, err := x.EvalBindings(ctx, bindings)
		if err != nil || !present || v == nil {
			return otherwise
		}
		return plain.Text(v)
	}
	rate := RateLimit{Limit: read(rules.limit, earlier.Limit), Remaining: read(rules.remaining, earlier.Remaining), Reset: read(rules.reset, "")}
	if rate.Reset == "" {
		rate.Reset = earlier.Reset
		return rate
	}
	if epoch, err := strconv.ParseInt(rate.Reset, 10, 64); err == nil && epoch >= minEpoch {
		rate.Reset = strconv.FormatInt(max(epoch-e.now().Unix(), 0), 10)
	}
	return rate
}
