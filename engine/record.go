package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"

	"portolan/jsonata"
	"portolan/plain"
)

// Answer is a provider's successful answer, parsed once for all expressions.
type Answer struct {
	reply   *Reply
	text    []byte // of the reply, in UTF-8
	body    any    // plain JSON, if isJSON
	isJSON  bool
	notJSON Cause          // the reason; "" if isJSON
	header  map[string]any // names in lower case, repeated ones joined
}

// Answers are the provider's answers to the main call and, by name, to the steps that ran.
type Answers struct {
	Main   *Answer
	Before map[string]*Answer
	After  map[string]*Answer
}

// Output is the mapped result of a method.
type Output struct {
	Records []Record
}

// Record is a unified record.
type Record struct {
	Fields map[string]any  // plain JSON; without members that are null
	Remote json.RawMessage // the provider's record, unchanged except by Reply.Text; nil if there is none
}

// Transform maps the provider's answers to unified records. It does no I/O and changes neither
// argument. Its error is an *Error of KindMapping, KindAccount or KindCanceled.
func (p *Plan) Transform(ctx context.Context, req *Request, answers Answers) (*Output, error) {
	sc, err := p.scope(req)
	if err != nil {
		return nil, err
	}
	values := responseBindings(answers)
	values["before"] = answerBodies(answers.Before)
	return p.output(ctx, req, answers, sc.with(values).bindings)
}

func (p *Plan) output(ctx context.Context, req *Request, answers Answers, bindings jsonata.Bindings) (*Output, error) {
	record, err := p.mapRecord(ctx, bindings, p.remote(answers), req.ID)
	if err != nil {
		return nil, withReply(err, answers.Main.reply)
	}
	return &Output{Records: []Record{record}}, nil
}

// mapRecord maps one record of the provider, of which raw is the JSON. id is the record's if the
// mapping returns none.
func (p *Plan) mapRecord(ctx context.Context, bindings jsonata.Bindings, raw json.RawMessage, id string) (Record, error) {
	ctx, cancel := p.withDeadline(ctx)
	defer cancel()
	record := Record{Remote: raw}
	if p.response != nil {
		value, _, err := evaluate(ctx, p.response, bindings, place{p.title, mainStep, responseKey.String()})
		if err != nil {
			return Record{}, err
		}
		if value != nil {
			fields, ok := value.(map[string]any)
			if !ok {
				return Record{}, &Error{Kind: KindMapping, Op: p.title + ": response_mapping", Pos: p.response.Pos(), Err: errNotObject}
			}
			record.Fields, _ = plain.WithoutNulls(fields).(map[string]any)
		}
	}
	if len(p.overrides) > 0 {
		if record.Fields == nil {
			record.Fields = map[string]any{}
		}
		merged, err := p.applyOverrides(ctx, record.Fields, responseKey, bindings)
		if err != nil {
			return Record{}, err
		}
		record.Fields, _ = merged.(map[string]any)
	}
	if mapped, ok := record.Fields["id"]; !ok || mapped == "" {
		fields := make(map[string]any, len(record.Fields)+1)
		maps.Copy(fields, record.Fields)
		fields["id"], record.Fields = id, fields
	}
	return record, nil
}

// responseBindings returns the additional bindings of response-side expressions.
func responseBindings(answers Answers) map[string]any {
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

// maxAnswerDepth is the deepest nesting of a provider's answer. Expressions see it inside other
// objects, and a mapping may nest it deeper.
const maxAnswerDepth = jsonata.MaxValueDepth / 2

// readAnswer parses reply, which may have so many values.
func readAnswer(reply *Reply, values int) *Answer {
	a := &Answer{reply: reply, header: reply.PublicHeader()}
	a.text, _ = reply.Text()
	doc, err := plain.Decode(a.text, plain.Options{Lenient: true, Depth: maxAnswerDepth, Values: values})
	if failed, ok := errors.AsType[*plain.DecodeError](err); ok {
		causes := map[plain.Kind]Cause{plain.Depth: CauseTooDeep, plain.Count: CauseTooManyValues}
		a.notJSON = cmp.Or(causes[failed.Failures[len(failed.Failures)-1].Kind], CauseNotJSON)
		return a
	}
	a.body, a.isJSON = doc.Value, true
	return a
}

// remote returns the JSON of the provider's record; nil if there is none.
func (p *Plan) remote(answers Answers) json.RawMessage {
	answer, path := answers.Main, p.main.record
	for _, s := range p.after {
		if s.record != nil {
			answer, path = answers.After[s.name], s.record
		}
	}
	if answer == nil || !answer.isJSON || path == nil {
		return nil
	}
	raw := json.RawMessage(bytes.TrimSpace(answer.text))
	for _, name := range path {
		var object map[string]json.RawMessage
		if json.Unmarshal(raw, &object) != nil {
			return nil
		}
		raw = object[name]
	}
	return raw
}
