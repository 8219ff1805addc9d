package engine_test

import (
	"testing"

	"portolan/engine"
)

func TestTemplate(t *testing.T) {
	for _, c := range []struct{ template, value, want, err string }{
		{"/people/{id}.json", "7", "/people/7.json", ""},
		{"/x/{id}", "../x", "/x/..%2Fx", ""},
		{"/x/{id}", "a/b", "/x/a%2Fb", ""},
		{"/x/{id}", "%2e%2e", "/x/%252e%252e", ""},
		{"/x/{id}", "a b+c", "/x/a%20b%2Bc", ""},
		{"/x/{id}", "é日", "/x/%C3%A9%E6%97%A5", ""},
		{"/x/{id}", "a?b#c&d=e", "/x/a%3Fb%23c%26d%3De", ""},
		{"/x/{id}", "A-z_0.~", "/x/A-z_0.~", ""},
		{"/x/{id}", "", "", "is empty"},
		{"/x/{id}", ".", "", `must not be "." or ".."`},
		{"/x/{id}", "..", "", `must not be "." or ".."`},
		{"/x/{id}", "a\nb", "", "contains a control character"},
		{"/x/{id}", "\xff", "", "is not valid UTF-8"},
		{"/x/{id", "7", "", "{ is never closed"},
		{"/x/{1d}", "7", "", `"1d" is not a valid variable name`},
		{"/x y", "7", "", `" " is not allowed in a URL`},
		{"/x}", "7", "", `"}" is not allowed in a URL`},
	} {
		got, err := engine.ExpandTemplate(c.template, c.value)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != c.want || text != c.err {
			t.Errorf("%q with %q: got %q, %q; want %q, %q", c.template, c.value, got, text, c.want, c.err)
		}
	}
}
