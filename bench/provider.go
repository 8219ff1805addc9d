package main

import (
	"fmt"
	"io"
	"net/http"
)

// provider is the pretend provider. It answers at once, but only a request that is exactly
// what its mapping makes: method, path, query, headers and body.
type provider struct {
	exchange
	path, body, answer template
}

func newProvider(x exchange) *provider {
	return &provider{x, x.Path.template(), x.Body.template(), x.Answer.template()}
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	var u user
	switch {
	case err != nil:
		p.refuse(w, "the body cannot be read")
		return
	case r.Method != p.Method:
		p.refuse(w, "the method is "+r.Method)
		return
	case !p.path.match(r.URL.RequestURI(), &u):
		p.refuse(w, "the path is "+r.URL.RequestURI())
		return
	case !p.body.match(string(body), &u):
		p.refuse(w, "the body is "+string(body))
		return
	}
	for name, value := range p.Headers {
		if values := r.Header.Values(name); len(values) != 1 || values[0] != value {
			p.refuse(w, fmt.Sprintf("the header %s is %q", name, values))
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(p.answer.append(make([]byte, 0, 2<<10), u)) // the loader notices what is missing
}

func (p *provider) refuse(w http.ResponseWriter, problem string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = fmt.Fprintf(w, `{"error":400,"message":%q}`, problem)
}
