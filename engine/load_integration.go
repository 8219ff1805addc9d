package engine

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	authorizationBindings = []string{"context", "url"}
	errorBindings         = []string{"error", "headers", "status"}
	rateLimitBindings     = []string{"headers", "status"}
)

func readIntegration(r *Reader, root *Node, folder string) *integrationDoc {
	doc := &integrationDoc{node: root, baseURL: emptyTemplate(), methods: map[string]*methodDoc{}}
	if !r.CheckFormat(root, FormatIntegration) {
		return nil
	}
	r.Object(root, Fields{
		"format": func(*Node) {},
		"name": func(n *Node) {
			if doc.name = r.Name(n); doc.name != folder {
				r.Diags.Errorf(n.Pos, "E006-bad-value", "name %q differs from its folder %q", doc.name, folder)
			}
		},
		"label":         func(n *Node) { doc.label = r.String(n) },
		"base_url":      func(n *Node) { doc.baseURL, doc.baseURLNode = r.template(n), n },
		"credentials":   func(n *Node) { doc.credentials = readCredentials(r, n) },
		"authorization": func(n *Node) { doc.authorization = readParams(r, n, authorizationBindings) },
		"verify":        func(n *Node) { r.String(n); doc.verify = n },
		"oauth2":        func(n *Node) { doc.oauth = readOAuth(r, n) },
		"errors": func(n *Node) {
			r.Object(n, Fields{
				"when":    func(n *Node) { doc.errors.when = r.Expr(n, errorBindings...) },
				"status":  func(n *Node) { doc.errors.status = r.Expr(n, errorBindings...) },
				"message": func(n *Node) { doc.errors.message = r.Expr(n, errorBindings...) },
				"fields":  func(n *Node) { doc.errors.fields = r.Expr(n, errorBindings...) },
			})
		},
		"rate_limit": func(n *Node) {
			r.Object(n, Fields{
				"limit":     func(n *Node) { doc.rateLimit.limit = r.Expr(n, rateLimitBindings...) },
				"remaining": func(n *Node) { doc.rateLimit.remaining = r.Expr(n, rateLimitBindings...) },
				"reset":     func(n *Node) { doc.rateLimit.reset = r.Expr(n, rateLimitBindings...) },
			})
		},
		"resources": func(n *Node) {
			r.Members(n, func(resource Entry) {
				r.checkName(resource.Name, resource.Pos)
				r.Members(resource.Value, func(method Entry) {
					r.checkName(method.Name, method.Pos)
					doc.methods[resource.Name+"."+method.Name] = readMethod(r, method.Value)
				})
			})
		},
	}, "name", "base_url", "resources")
	checkURL(r, doc.credentials, "base_url", doc.baseURL, doc.baseURLNode)
	checkOAuth(r, doc)
	return doc
}

func readCredentials(r *Reader, n *Node) []Credential {
	var out []Credential
	r.Items(n, func(n *Node) {
		var c Credential
		r.Object(n, Fields{
			"name":     func(n *Node) { c.Name = r.Name(n) },
			"label":    func(n *Node) { c.Label = r.String(n) },
			"secret":   func(n *Node) { c.Secret = r.Bool(n) },
			"required": func(n *Node) { c.Required = r.Bool(n) },
			"pattern":  func(n *Node) { c.Pattern = r.pattern(n) },
			"enum":     func(n *Node) { r.Items(n, func(n *Node) { c.Enum = append(c.Enum, r.String(n)) }) },
			"default":  func(n *Node) { c.Default = r.String(n) },
		}, "name")
		if slices.ContainsFunc(out, func(o Credential) bool { return o.Name == c.Name }) {
			r.Diags.Errorf(n.Pos, "E002-duplicate-key", "credential %q occurs twice", c.Name)
		}
		out = append(out, c)
	})
	return out
}

// pattern reads a regular expression, which is made to match the whole value.
func (r *Reader) pattern(n *Node) *regexp.Regexp {
	text := r.String(n)
	if _, err := regexp.Compile(text); err != nil {
		r.Diags.Errorf(n.Pos, "E006-bad-value", "pattern does not compile: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nil
	}
	return regexp.MustCompile(`\A(?:` + text + `)\z`)
}

func readParams(r *Reader, n *Node, bindings []string) paramDocs {
	var p paramDocs
	r.Object(n, Fields{
		"headers": func(n *Node) {
			p.header = readParamList(r, n, bindings)
			r.Members(n, func(e Entry) {
				if !validHeaderName(e.Name) {
					r.Diags.Errorf(e.Pos, "E006-bad-value", "%q is no header name", e.Name)
				}
			})
		},
		"query": func(n *Node) { p.query = readParamList(r, n, bindings) },
	})
	return p
}

func readParamList(r *Reader, n *Node, bindings []string) []paramDoc {
	var out []paramDoc
	r.Members(n, func(e Entry) {
		out = append(out, paramDoc{name: e.Name, pos: e.Pos, expr: r.Expr(e.Value, bindings...)})
	})
	return out
}

func validHeaderName(name string) bool {
	return regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$").MatchString(name)
}

func readMethod(r *Reader, n *Node) *methodDoc {
	m := &methodDoc{}
	r.Object(n, Fields{
		"method": func(n *Node) {
			m.verb = r.OneOf(n, http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete)
		},
		"path":       func(n *Node) { m.path = r.template(n) },
		"headers":    func(n *Node) { m.params.header = readParamList(r, n, authorizationBindings) },
		"query":      func(n *Node) { m.params.query = readParamList(r, n, authorizationBindings) },
		"body":       func(n *Node) { m.form = r.OneOf(n, "json", "form") == "form" },
		"repeatable": func(n *Node) { m.repeatable = r.Bool(n) },
	}, "method", "path")
	return m
}

// template reads a URL template; what does not parse gives an empty one.
func (r *Reader) template(n *Node) *template {
	text := r.String(n)
	t, err := parseTemplate(text)
	if bad, ok := errors.AsType[*templateError](err); ok {
		r.Diags.Errorf(n.At(bad.offset), "E030-bad-template", "%s", bad.message)
	}
	if t == nil {
		return emptyTemplate()
	}
	return t
}

// checkURL refuses what is no absolute http(s) URL, and variables that could name any
// host: an account's settings must not choose whom its credentials are sent to.
func checkURL(r *Reader, credentials []Credential, key string, t *template, n *Node) {
	if n == nil || n.Text == "" { // reported as missing
		return
	}
	sample, _ := t.expand(func(string) (string, error) { return "x", nil })
	u, err := url.Parse(sample)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		r.Diags.Errorf(n.Pos, "E006-bad-value", "%s is no absolute http or https URL without query", key)
	}
	for v, name := range t.variables {
		i := slices.IndexFunc(credentials, func(c Credential) bool { return c.Name == name })
		at := n.At(strings.Index(n.Text, "{"+name+"}"))
		switch {
		case i < 0:
			r.Diags.Errorf(at, "E031-missing-path-variable", "%s needs %q, which is no credential", key, name)
		case credentials[i].Pattern == nil && credentials[i].Enum == nil:
			r.Diags.Errorf(at, "E034-open-base-url", "credential %q stands in %s without pattern or enum", name, key)
			r.Diags.Hintf("declare which values it may have, or an account could send its credentials anywhere")
		case inHost(t.literals[:v+1]) && credentials[i].Pattern != nil && slices.ContainsFunc(hostEscapes, credentials[i].Pattern.MatchString):
			r.Diags.Errorf(at, "E034-open-base-url", "credential %q stands in the host of %s, and its pattern lets it name another host", name, key)
			r.Diags.Hintf("let it match letters, digits, - and . only")
		}
	}
}

// hostEscapes are values with which a host ends, or begins, at another place.
var hostEscapes = []string{"a/b", "a?b", "a#b", "a@b", "a:1", `a\b`, "a%b"}

// inHost reports whether what follows these literals of a URL belongs to its host.
func inHost(before []string) bool {
	_, rest, _ := strings.Cut(strings.Join(before, "x"), "://")
	return !strings.Contains(rest, "/")
}
