package golden_test

import (
	"net/http"
	"strings"

	"portolan/engine"
	"portolan/golden"
	"portolan/plain"
)

// expected returns the result that c expects.
func expected(c *golden.Case) *golden.Result {
	r := &golden.Result{Case: c, Answer: c.Answer}
	for _, x := range c.Upstream {
		r.Calls = append(r.Calls, x.Request)
	}
	return r
}

// replay returns a handler that makes c's calls and returns its answer.
func replay(c *golden.Case) golden.HandlerFor {
	return func(doer engine.Doer, _ golden.Account) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, x := range c.Upstream {
				path, query, found := strings.Cut(x.Request.Target, "?")
				if found { // Call.Query would encode it again
					path += "?" + query
				}
				call := &engine.Call{Method: x.Request.Method, URL: "https://acme.example.com" + path, Body: x.Request.Body}
				for _, h := range x.Request.Header {
					call.Header = append(call.Header, engine.Param{Name: h.Name, Value: h.Value})
				}
				_, _ = doer.Do(r.Context(), call)
			}
			for _, h := range c.Answer.Header {
				w.Header().Add(h.Name, h.Value)
			}
			w.WriteHeader(c.Answer.Status)
			_, _ = w.Write(c.Answer.Body)
		}), nil
	}
}

// engineBody decodes a request body.
func engineBody(data []byte) (map[string]any, error) {
	return plain.DecodeObject(data, plain.Options{})
}
