package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"portolan/plain"
)

// run handles the request and returns the response. change, if not nil, computes the body of
// a successful answer.
func (x *exchange) run(change *expr) *response {
	if x.endpoint != nil {
		return x.endpoint(x)
	}
	if x.route != nil && x.route.writes() {
		x.provider.writing.Lock()
		defer x.provider.writing.Unlock()
	}
	if err := x.begin(); err != nil {
		return failed(err)
	}
	a, err := x.perform()
	if err != nil {
		return failed(err)
	}
	return x.finish(a, change)
}

// begin binds the state and evaluates the provider's `find`.
func (x *exchange) begin() error {
	x.bindState()
	return x.find(x.provider.find)
}

// bindState binds the current state.
func (x *exchange) bindState() {
	state := x.provider.state.Load()
	x.bindings["state"] = state.collections
	x.bindings["serial"] = float64(state.serial + 1)
}

// perform carries out the request unless it is refused, and returns the answer to evaluate.
func (x *exchange) perform() (*answer, error) {
	if a, err := x.refusal(x.provider.guard); a != nil || err != nil {
		return a, err
	}
	if x.route == nil {
		return x.provider.noRoute, nil
	}
	if err := x.find(x.route.find); err != nil {
		return nil, err
	}
	if a, err := x.refusal(x.route.refuse); a != nil || err != nil {
		return a, err
	}
	return x.route.answer, x.commit()
}

func (x *exchange) find(lookups []*lookup) error {
	for _, f := range lookups {
		v, present, err := f.of.eval(x.ctx, x.bindings)
		if err == nil && present && f.view != nil {
			v, err = x.applyView(v, f.view)
		}
		if err != nil {
			return err
		}
		if present {
			x.found[f.name] = v
		}
	}
	return nil
}

// applyView returns v, a record or a list of records, with view applied to each.
func (x *exchange) applyView(v any, view *expr) (any, error) {
	list, many := v.([]any)
	if !many {
		list = []any{v}
	}
	shown := make([]any, 0, len(list))
	for _, record := range list {
		x.bindings["record"] = record
		out, present, err := view.eval(x.ctx, x.bindings)
		if err != nil {
			return nil, err
		}
		if present {
			shown = append(shown, out)
		}
	}
	if !many && len(shown) == 1 {
		return shown[0], nil
	}
	return shown, nil
}

// refusal returns the answer of the first check that finds a problem.
func (x *exchange) refusal(all []*checks) (*answer, error) {
	for _, group := range all {
		for _, c := range group.list {
			problem, _, err := c.when.eval(x.ctx, x.bindings)
			if err != nil {
				return nil, err
			}
			if plain.Truthy(problem) {
				x.bindings["problem"] = problem
				return c.answer, nil
			}
		}
	}
	return nil, nil
}

// commit applies the route's changes to the state. Later changes see earlier ones; if one
// fails, none is applied.
func (x *exchange) commit() error {
	if !x.route.writes() {
		return nil
	}
	next := x.provider.state.Load().next()
	saved := map[string]any{}
	x.bindings["state"] = next.collections
	for _, ch := range x.route.put {
		records, present, err := ch.records.eval(x.ctx, x.bindings)
		if err == nil && present {
			saved[ch.collection] = records
			err = ch.failed(next.put(x.provider.collection(ch.collection), records))
		}
		if err != nil {
			return err
		}
	}
	for _, ch := range x.route.remove {
		records, present, err := ch.records.eval(x.ctx, x.bindings)
		if err == nil && present {
			err = ch.failed(next.remove(x.provider.collection(ch.collection), records))
		}
		if err != nil {
			return err
		}
	}
	x.bindings["saved"] = saved
	x.provider.state.Store(next)
	return nil
}

func (ch change) failed(err error) error {
	if err == nil {
		return nil
	}
	return ch.records.failed(err)
}

func (p *Provider) collection(name string) collection {
	for _, c := range p.collections {
		if c.name == name {
			return c
		}
	}
	return collection{name: name} // not reached: Load checks the names
}

// finish evaluates a and the provider's `finish`.
func (x *exchange) finish(a *answer, change *expr) *response {
	out, err := x.respond(a, change)
	if err != nil {
		return failed(err)
	}
	return out
}

func (x *exchange) respond(a *answer, change *expr) (*response, error) {
	status, _, err := a.status.eval(x.ctx, x.bindings)
	if err != nil {
		return nil, err
	}
	code, err := strconv.Atoi(fmt.Sprint(status))
	if err != nil || code < 200 || code > 599 {
		return nil, a.status.failed(fmt.Errorf("%v is not an HTTP status from 200 to 599", status))
	}
	out := &response{status: code, header: http.Header{}}
	text, isText, err := a.text.eval(x.ctx, x.bindings)
	if err != nil {
		return nil, err
	}
	body, isJSON, err := a.body.eval(x.ctx, x.bindings)
	if err != nil {
		return nil, err
	}
	view := map[string]any{"status": float64(code)}
	x.bindings["answer"] = view
	if isJSON && change != nil && code < 300 {
		view["body"] = body
		if body, isJSON, err = change.eval(x.ctx, x.bindings); err != nil {
			return nil, err
		}
	}
	if isJSON {
		view["body"] = body
		v, present, err := x.provider.finish.body.eval(x.ctx, x.bindings)
		if err != nil {
			return nil, err
		}
		if present {
			view["body"] = v
		}
		out.json(view["body"])
	} else if isText {
		out.text(fmt.Sprint(text))
	}
	view["text"] = string(out.body)
	for _, h := range append(slices.Clip(x.provider.finish.headers), a.headers...) {
		v, present, err := h.value.eval(x.ctx, x.bindings)
		if err != nil {
			return nil, err
		}
		if present {
			out.header.Set(h.name, fmt.Sprint(v))
		}
	}
	return out, nil
}

// response is a response to send.
type response struct {
	status int
	header http.Header
	body   []byte
}

func textResponse(status int, text string) *response {
	out := &response{status: status, header: http.Header{}}
	out.text(text)
	return out
}

// failed returns the response for an expression that failed, for the file's author.
func failed(err error) *response {
	return textResponse(http.StatusInternalServerError, "sandbox: "+err.Error())
}

func (r *response) text(text string) {
	r.body = []byte(text)
	r.header.Set("Content-Type", "text/plain; charset=utf-8")
}

func (r *response) json(v any) {
	body, err := plain.Append(nil, v)
	if err != nil {
		r.status = http.StatusInternalServerError
		r.text("sandbox: " + err.Error())
		return
	}
	r.body = body
	r.header.Set("Content-Type", "application/json; charset=utf-8")
}

func (r *response) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), r.header)
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body) //nolint:gosec // a simulated API on loopback; the client may be gone
}
