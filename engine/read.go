package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"portolan/jsonata"
	"portolan/plain"
)

// maxMessage is how much of a provider's text becomes an error's message, in bytes.
const maxMessage = 2000

// Read tells a success of the main call from a failure, as the integration's `errors` say.
// usable asks for JSON as well if an expression reads it; an empty body always is a success.
// It does no I/O. Its error is an *Error of KindProvider or KindMapping.
func (p *Plan) Read(ctx context.Context, reply *Reply, usable bool) (*Answer, error) {
	return p.main.read(ctx, p.title, reply, usable && p.needsAnswer)
}

func (s *step) read(ctx context.Context, title string, reply *Reply, usable bool) (*Answer, error) {
	answer := readAnswer(reply)
	return answered(ctx, func() (*Answer, error) { return s.judge(ctx, title, answer, usable) })
}

// answered runs evaluate, and once more if it overran: the deadline is wall clock, which a
// busy machine can use up, and the provider has done its part already.
func answered[T any](ctx context.Context, evaluate func() (T, error)) (T, error) {
	v, err := evaluate()
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return evaluate()
	}
	return v, err
}

func (s *step) judge(ctx context.Context, title string, answer *Answer, usable bool) (*Answer, error) {
	ctx, cancel := s.Integration.language.WithDeadline(ctx)
	defer cancel()
	reply := answer.reply
	if err := s.checkAnswer(ctx, title, answer); err != nil {
		return nil, err
	}
	if usable && !answer.isJSON && len(bytes.TrimSpace(reply.Body)) > 0 {
		message := "the provider's answer is not JSON"
		if answer.unread == CauseTooDeep {
			message = "the provider's answer is nested too deep"
		}
		return nil, s.unusable(title, reply, answer.unread, message)
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
	if s.name == mainCall {
		return title
	}
	return title + ": " + s.name
}

// checkAnswer applies the integration's `errors`; nil for success.
func (s *step) checkAnswer(ctx context.Context, title string, answer *Answer) error {
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
	case len(reply.Body) > 0:
		values["error"] = strings.ToValidUTF8(string(reply.Body), "\uFFFD")
	}
	bindings, err := jsonata.Ready(values)
	if err != nil { // nested too deep: the provider's fault
		return s.unusable(title, reply, CauseTooDeep, "the provider's answer cannot be read: "+err.Error())
	}
	if rules.when != nil {
		failed, _, err := evaluate(ctx, rules.when, bindings, place{title, s.name, "errors.when"})
		if err != nil {
			return withReply(err, reply)
		}
		if !plain.Truthy(failed) && reply.Status < statusBadRequest {
			return nil
		}
	}
	said, err := s.readFailure(ctx, title, reply, bindings)
	if err != nil {
		return withReply(err, reply)
	}
	return &Error{Kind: KindProvider, Op: s.op(title), Provider: said, Reply: reply}
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
	said := &Provider{Status: reply.Status}
	if reply.Status < statusBadRequest {
		said.Status = statusBadGateway
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
	if n, ok := wholeNumber(status); ok && n >= statusBadRequest && n <= 599 {
		said.Status = n
	}
	message, err := read(rules.message, "errors.message")
	if err != nil {
		return nil, err
	}
	text, _ := message.(string)
	if said.Message = cut(strings.TrimSpace(text)); said.Message == "" {
		said.Message = cut(findMessage(bindings.Plain("error"), 0))
	}
	if said.Message == "" {
		said.Message = fmt.Sprintf("the provider answered with status %d", reply.Status)
	}
	fields, err := read(rules.fields, "errors.fields")
	if err != nil {
		return nil, err
	}
	said.Fields = fieldErrors(fields)
	return said, nil
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
			out = append(out, FieldError{Field: field, Message: cut(message)})
		}
	}
	return out
}

// findMessage walks an error body for the text that most likely says what is wrong.
func findMessage(v any, depth int) string {
	if depth > 4 {
		return ""
	}
	switch v := v.(type) {
	case string:
		if v = strings.TrimSpace(v); strings.HasPrefix(v, "<") { // a page is no message
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

// cut shortens text to maxMessage bytes at a rune's boundary.
func cut(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	end := maxMessage
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

func wholeNumber(v any) (int, bool) {
	switch v := v.(type) {
	case float64:
		return int(v), v == float64(int(v))
	case json.Number:
		i, err := v.Int64()
		return int(i), err == nil
	}
	return 0, false
}

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
