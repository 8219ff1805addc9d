package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"

	"portolan/jsonata"
	"portolan/plain"
)

// Answer is a provider's answer that is no failure, read once for all expressions.
type Answer struct {
	reply  *Reply
	body   any // plain JSON, where isJSON
	isJSON bool
	unread Cause          // why it is not; "" where isJSON
	header map[string]any // names in lower case, repeated ones joined
}

// Answers are the provider's answers to one method: the main call's and those of the
// before and after steps that ran, by name.
type Answers struct {
	Main   *Answer
	Before map[string]*Answer
	After  map[string]*Answer
}

// Output is what a method's answers were mapped to.
type Output struct {
	Records []Record // one, unless the method is about many
}

// Record is a unified record.
type Record struct {
	Fields map[string]any  // plain JSON; without members that are null
	Remote json.RawMessage // the provider's record as it came; nil if there is none
}

// Transform turns the provider's answers into unified records. It does no I/O and writes
// into neither argument. Its error is an *Error of KindMapping.
func (p *Plan) Transform(ctx context.Context, req *Request, answers Answers) (*Output, error) {
	sc, err := p.scope(req)
	if err != nil {
		return nil, err
	}
	values := answeredBindings(answers)
	values["before"] = answerBodies(answers.Before)
	if sc, err = sc.with(values); err != nil {
		return nil, err
	}
	return p.output(ctx, req, answers, sc.bindings)
}

func (p *Plan) output(ctx context.Context, req *Request, answers Answers, bindings jsonata.Bindings) (*Output, error) {
	record, err := answered(ctx, func() (Record, error) { return p.mapRecord(ctx, bindings, p.remote(answers), req.ID) })
	if err != nil {
		return nil, withReply(err, answers.Main.reply)
	}
	return &Output{Records: []Record{record}}, nil
}

// mapRecord maps one record of the provider's, which raw is as it came. id is that of the
// record if the mapping gives none.
func (p *Plan) mapRecord(ctx context.Context, bindings jsonata.Bindings, raw json.RawMessage, id string) (Record, error) {
	ctx, cancel := p.withDeadline(ctx)
	defer cancel()
	record := Record{Remote: raw}
	if p.response != nil {
		value, _, err := evaluate(ctx, p.response, bindings, place{p.title, mainCall, responseKey.String()})
		if err != nil {
			return Record{}, err
		}
		if value != nil {
			fields, ok := value.(map[string]any)
			if !ok {
				return Record{}, &Error{Kind: KindMapping, Op: p.title + ": response_mapping", Pos: p.response.Pos(), Err: errGivesNoObject}
			}
			record.Fields, _ = plain.WithoutNulls(fields).(map[string]any)
		}
	}
	if len(p.over) > 0 {
		if record.Fields == nil {
			record.Fields = map[string]any{}
		}
		laid, err := p.lay(ctx, record.Fields, responseKey, bindings)
		if err != nil {
			return Record{}, err
		}
		record.Fields, _ = laid.(map[string]any)
	}
	if given, ok := record.Fields["id"]; !ok || given == "" {
		fields := make(map[string]any, len(record.Fields)+1)
		maps.Copy(fields, record.Fields)
		fields["id"], record.Fields = id, fields
	}
	return record, nil
}

// answeredBindings are what response-side expressions see beside the request's bindings.
func answeredBindings(answers Answers) map[string]any {
	out := map[string]any{
		"after": answerBodies(answers.After), "headers": answers.Main.header, "status": statusBinding(answers.Main.reply),
	}
	if answers.Main.isJSON {
		out["response"] = answers.Main.body
	}
	return out
}

func answerBodies(answers map[string]*Answer) map[string]any {
	if len(answers) == 0 {
		return nil
	}
	out := make(map[string]any, len(answers))
	for name, a := range answers {
		if a.isJSON {
			out[name] = a.body
		}
	}
	return out
}

// readAnswer parses what reply holds.
func readAnswer(reply *Reply) *Answer {
	a := &Answer{reply: reply, header: headerBinding(reply)}
	doc, err := plain.Decode(reply.Body, plain.Options{Lenient: true})
	switch failed, _ := errors.AsType[*plain.DecodeError](err); {
	case err == nil:
		a.body, a.isJSON = doc.Value, true
	case failed != nil && failed.Failures[len(failed.Failures)-1].Kind == plain.Depth:
		a.unread = CauseTooDeep
	default:
		a.unread = CauseNotJSON
	}
	return a
}

// headerBinding is the answer's headers, names in lower case, repeated ones joined.
func headerBinding(reply *Reply) map[string]any {
	out := make(map[string]any, len(reply.Header))
	for name, values := range reply.Header {
		out[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return out
}

// remote cuts the provider's record out of the answer that holds it, as it came.
func (p *Plan) remote(answers Answers) json.RawMessage {
	answer, path := answers.Main, p.record[1:]
	if p.record[0] == "after" {
		if len(path) == 0 {
			return nil
		}
		answer, path = answers.After[path[0]], path[1:]
	}
	if answer == nil || !answer.isJSON {
		return nil
	}
	raw := json.RawMessage(bytes.TrimSpace(answer.reply.Body))
	for _, name := range path {
		var object map[string]json.RawMessage
		if json.Unmarshal(raw, &object) != nil {
			return nil
		}
		raw = object[name]
	}
	return raw
}
