package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxMessage is how much of a provider's text becomes an error's message, in bytes.
const maxMessage = 2000

// Read tells a success of the main call from a failure: the integration's `errors` say
// which is which. usable asks for JSON as well where an expression reads it; an empty
// body always is a success. It does no I/O. Its error is an *Error of KindProvider or
// KindMapping.
func (p *Plan) Read(ctx context.Context, reply *Reply, usable bool) (*Answer, error) {
	return p.read(ctx, p.main, reply, usable && p.needsAnswer)
}

func (p *Plan) read(ctx context.Context, s *step, reply *Reply, usable bool) (*Answer, error) {
	answer := readAnswer(reply)
	return answered(ctx, func() (*Answer, error) { return p.judge(ctx, s, answer, usable) })
}

// answered runs evaluate and, where it overran, once more: the deadline is wall clock, which
// a busy machine can use up, and the provider has done its part already.
func answered[T any](ctx context.Context, evaluate func() (T, error)) (T, error) {
	v, err := evaluate()
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return evaluate()
	}
	return v, err
}

func (p *Plan) judge(ctx context.Context, s *step, answer *Answer, usable bool) (*Answer, error) {
	ctx, cancel := p.language.WithDeadline(ctx)
	defer cancel()
	reply := answer.reply
	if err := p.checkAnswer(ctx, s, answer); err != nil {
		return nil, err
	}
	if usable && !answer.isJSON && len(bytes.TrimSpace(reply.Body)) > 0 {
		return nil, p.unusable(s, reply, "the provider's answer is not JSON")
	}
	return answer, nil
}

func (p *Plan) unusable(s *step, reply *Reply, message string) error {
	return &Error{
		Kind: KindProvider, Op: p.stepOp(s), Reply: reply,
		Provider: &Provider{Status: http.StatusBadGateway, Message: message},
	}
}

func (p *Plan) stepOp(s *step) string {
	if s.name == mainCall {
		return p.title
	}
	return p.title + ": " + s.name
}

// checkAnswer applies the integration's `errors`; nil for success.
func (p *Plan) checkAnswer(ctx context.Context, s *step, answer *Answer) error {
	reply := answer.reply
	if reply.Status < 200 || reply.Status > 299 && reply.Status < 400 {
		return p.unusable(s, reply, fmt.Sprintf("the provider answered with status %d", reply.Status))
	}
	rules := p.integration.errors
	if rules.when == nil && reply.Status < 400 {
		return nil
	}
	bindings := map[string]any{"headers": answer.header, "status": json.Number(strconv.Itoa(reply.Status))}
	switch {
	case answer.isJSON:
		bindings["error"] = answer.body
	case len(reply.Body) > 0:
		bindings["error"] = strings.ToValidUTF8(string(reply.Body), "\uFFFD")
	}
	if rules.when != nil {
		failed, _, err := p.eval(ctx, rules.when, s.name, "errors.when", bindings)
		if err != nil {
			return withReply(err, reply)
		}
		if !truthy(failed) && reply.Status < 400 {
			return nil
		}
	}
	said, err := p.readFailure(ctx, s, reply, bindings)
	if err != nil {
		return withReply(err, reply)
	}
	return &Error{Kind: KindProvider, Op: p.stepOp(s), Provider: said, Reply: reply}
}

func withReply(err error, reply *Reply) error {
	if e, ok := errors.AsType[*Error](err); ok {
		e.Reply = reply
	}
	return err
}

func (p *Plan) readFailure(ctx context.Context, s *step, reply *Reply, bindings map[string]any) (*Provider, error) {
	rules := p.integration.errors
	said := &Provider{Status: reply.Status}
	if reply.Status < 400 {
		said.Status = http.StatusBadGateway
	}
	if rules.status != nil {
		v, present, err := p.eval(ctx, rules.status, s.name, "errors.status", bindings)
		if err != nil {
			return nil, err
		}
		if status, ok := wholeNumber(v); present && ok && status >= 400 && status <= 599 {
			said.Status = status
		}
	}
	if rules.message != nil {
		v, _, err := p.eval(ctx, rules.message, s.name, "errors.message", bindings)
		if err != nil {
			return nil, err
		}
		said.Message, _ = v.(string)
	}
	if said.Message = cut(strings.TrimSpace(said.Message)); said.Message == "" {
		said.Message = cut(findMessage(bindings["error"], 0))
	}
	if said.Message == "" {
		said.Message = fmt.Sprintf("the provider answered %d %s", reply.Status, http.StatusText(reply.Status))
	}
	if rules.fields != nil {
		v, _, err := p.eval(ctx, rules.fields, s.name, "errors.fields", bindings)
		if err != nil {
			return nil, err
		}
		said.Fields = fieldErrors(v)
	}
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

// truthy is JSONata's idea of true for plain values.
func truthy(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return v != ""
	case float64:
		return v != 0
	case json.Number:
		f, err := v.Float64()
		return err == nil && f != 0
	case map[string]any:
		return len(v) > 0
	case []any:
		return slices.ContainsFunc(v, truthy)
	}
	return false
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
