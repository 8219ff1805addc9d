package engine

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"portolan/jsonata"
	"portolan/source"
)

var (
	authorizationBindings = []string{"context", "url"}
	errorBindings         = []string{"error", "headers", "status"}
	rateLimitBindings     = []string{"headers", "status"}
)

func readIntegration(r *reader, root *source.Node, folder string) *integrationDoc {
	doc := &integrationDoc{node: root, baseURL: emptyTemplate(), methods: map[string]*methodDoc{}}
	if !r.CheckFormat(root, FormatIntegration) {
		return nil
	}
	r.Object(root, source.Fields{
		"format": func(*source.Node) {},
		"name": func(n *source.Node) {
			if name := r.Name(n); name != folder {
				r.Diags.Errorf(n.Pos, "E006-bad-value", "name %q differs from its folder %q", name, folder)
			}
		},
		"label":         func(n *source.Node) { doc.label = r.String(n) },
		"base_url":      func(n *source.Node) { doc.baseURL, doc.baseURLNode = r.template(n), n },
		"credentials":   func(n *source.Node) { doc.credentials = readCredentials(r, n) },
		"authorization": func(n *source.Node) { doc.authorization = readParams(r, n, authorizationBindings) },
		"verify":        func(n *source.Node) { r.String(n); doc.verify = n },
		"oauth2":        func(n *source.Node) { doc.oauth = readOAuth(r, n) },
		"errors": func(n *source.Node) {
			r.Exprs(n, errorBindings, map[string]jsonata.Target{
				"when":    {Expr: &doc.errors.when, Want: jsonata.Boolean},
				"status":  {Expr: &doc.errors.status, Want: jsonata.Number, Min: statusBadRequest, Max: maxStatus},
				"message": {Expr: &doc.errors.message, Want: jsonata.Text},
				"fields":  {Expr: &doc.errors.fields, Want: jsonata.Parts},
			})
		},
		"rate_limit": func(n *source.Node) {
			r.Exprs(n, rateLimitBindings, map[string]jsonata.Target{
				"limit":     {Expr: &doc.rateLimit.limit, Want: jsonata.Scalar},
				"remaining": {Expr: &doc.rateLimit.remaining, Want: jsonata.Scalar},
				"reset":     {Expr: &doc.rateLimit.reset, Want: jsonata.Scalar},
			})
		},
		"resources": func(n *source.Node) {
			r.Members(n, func(resource source.Entry) {
				r.CheckName(resource.Name, resource.Pos)
				r.Members(resource.Value, func(method source.Entry) {
					r.CheckName(method.Name, method.Pos)
					doc.methods[resource.Name+"."+method.Name] = readMethod(r, method.Value)
				})
			})
		},
	}, "name", "base_url", "resources")
	checkURL(r, doc.credentials, "base_url", doc.baseURL, doc.baseURLNode)
	checkOAuth(r, doc)
	return doc
}

func readCredentials(r *reader, n *source.Node) []Credential {
	var out []Credential
	r.Items(n, func(n *source.Node) {
		var c Credential
		r.Object(n, source.Fields{
			"name":     func(n *source.Node) { c.Name = r.Name(n) },
			"label":    func(n *source.Node) { c.Label = r.String(n) },
			"help":     func(n *source.Node) { c.Help = r.String(n) },
			"help_url": func(n *source.Node) { c.HelpURL = r.String(n) },
			"secret":   func(n *source.Node) { c.Secret = r.Bool(n) },
			"required": func(n *source.Node) { c.Required = r.Bool(n) },
			"pattern":  func(n *source.Node) { c.Pattern = r.pattern(n) },
			"enum":     func(n *source.Node) { r.Items(n, func(n *source.Node) { c.Enum = append(c.Enum, r.String(n)) }) },
			"default":  func(n *source.Node) { c.Default = r.String(n) },
		}, "name")
		if slices.ContainsFunc(out, func(o Credential) bool { return o.Name == c.Name }) {
			r.Diags.Errorf(n.Pos, "E002-duplicate-key", "credential %q occurs twice", c.Name)
		}
		if c.HelpURL != "" && !strings.HasPrefix(c.HelpURL, "https://") {
			r.Diags.Errorf(n.Get("help_url").Pos, "E006-bad-value", "help_url does not begin with https://")
		}
		r.checkSecretName(n, c)
		out = append(out, c)
	})
	return out
}

// pattern reads a regular expression and anchors it at both ends.
func (r *reader) pattern(n *source.Node) *regexp.Regexp {
	text := r.String(n)
	err := jsonata.CheckRegexp(text)
	costly, ok := errors.AsType[*jsonata.SyntaxError](err)
	switch {
	case ok:
		r.Diags.Errorf(n.Pos, costly.Code, "pattern %s", costly)
		return nil
	case err != nil:
		r.Diags.Errorf(n.Pos, "E006-bad-value", "pattern is not a valid regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nil
	}
	return regexp.MustCompile(`\A(?:` + text + `)\z`)
}

func readParams(r *reader, n *source.Node, bindings []string) paramDocs {
	var p paramDocs
	r.Object(n, source.Fields{
		"headers": func(n *source.Node) {
			p.header = readParamList(r, n, bindings)
			r.Members(n, func(e source.Entry) {
				if !headerName.MatchString(e.Name) {
					r.Diags.Errorf(e.Pos, "E006-bad-value", "%q is not a valid header name", e.Name)
				}
			})
		},
		"query": func(n *source.Node) { p.query = readParamList(r, n, bindings) },
	})
	return p
}

func readParamList(r *reader, n *source.Node, bindings []string) []param {
	var out []param
	r.Members(n, func(e source.Entry) {
		out = append(out, param{name: e.Name, pos: e.Pos, expr: r.TypedExpr(e.Value, jsonata.Scalar, bindings...)})
	})
	return out
}

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func readMethod(r *reader, n *source.Node) *methodDoc {
	m := &methodDoc{patterns: map[string]*regexp.Regexp{}}
	r.Object(n, source.Fields{
		"method":     func(n *source.Node) { m.verb = r.OneOf(n, verbGet, "POST", "PUT", "PATCH", "DELETE") },
		"path":       func(n *source.Node) { m.path = r.template(n) },
		"headers":    func(n *source.Node) { m.params.header = readParamList(r, n, authorizationBindings) },
		"query":      func(n *source.Node) { m.params.query = readParamList(r, n, authorizationBindings) },
		"body":       func(n *source.Node) { m.form = r.OneOf(n, "json", "form") == "form" },
		"repeatable": func(n *source.Node) { m.repeatable = r.Bool(n) },
		"path_variables": func(variables *source.Node) {
			r.Members(variables, func(e source.Entry) {
				if path := n.Get("path"); path != nil && !strings.Contains(path.Text, "{"+e.Name+"}") {
					r.Diags.Errorf(e.Pos, "E032-unused-path-variable", "the path has no variable %q", e.Name)
				}
				r.Object(e.Value, source.Fields{"pattern": func(n *source.Node) { m.patterns[e.Name] = r.pattern(n) }}, "pattern")
			})
		},
	}, "method", "path")
	return m
}

// template reads a URL template; an empty one if it is malformed.
func (r *reader) template(n *source.Node) *template {
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

// checkURL reports a URL that is not an absolute http or https URL, and variables with which an
// account could send its credentials to any host.
func checkURL(r *reader, credentials []Credential, key string, t *template, n *source.Node) {
	if n == nil || n.Text == "" { // reported as missing
		return
	}
	sample, _ := t.expand(func(string) (string, error) { return "x", nil })
	u, err := url.Parse(sample)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		r.Diags.Errorf(n.Pos, "E006-bad-value", "%s is not an absolute http or https URL without a query", key)
	}
	for v, name := range t.variables {
		i := slices.IndexFunc(credentials, func(c Credential) bool { return c.Name == name })
		at := n.At(strings.Index(n.Text, "{"+name+"}"))
		switch {
		case i < 0:
			r.Diags.Errorf(at, "E031-missing-path-variable", "%s needs the credential %q, which is not declared", key, name)
		case credentials[i].Pattern == nil && credentials[i].Enum == nil:
			r.Diags.Errorf(at, "E034-open-base-url", "%s contains the credential %q, which has neither pattern nor enum", key, name)
			r.Diags.Hintf("restrict its values: an account could send its credentials to any host")
		case inHost(t.literals[:v+1]) && credentials[i].Pattern != nil && slices.ContainsFunc(hostEscapes, credentials[i].Pattern.MatchString):
			r.Diags.Errorf(at, "E034-open-base-url", "the pattern of credential %q lets it change the host of %s", name, key)
			r.Diags.Hintf("allow only letters, digits, - and .")
		}
	}
}

// hostEscapes are values that change where a URL's host begins or ends.
var hostEscapes = []string{"a/b", "a?b", "a#b", "a@b", "a:1", `a\b`, "a%b"}

// inHost reports whether a variable after these literals of a URL is part of its host.
func inHost(before []string) bool {
	_, rest, _ := strings.Cut(strings.Join(before, "x"), "://")
	return !strings.Contains(rest, "/")
}

var tokenBindings = []string{"token"}

func readOAuth(r *reader, n *source.Node) *oauthDoc {
	doc := &oauthDoc{authorizeURL: emptyTemplate(), tokenURL: emptyTemplate()}
	r.Object(n, source.Fields{
		"authorize_url": func(n *source.Node) { doc.authorizeURL, doc.authorizeURLNode = r.template(n), n },
		"token_url":     func(n *source.Node) { doc.tokenURL, doc.tokenURLNode = r.template(n), n },
		"scopes": func(n *source.Node) {
			r.Items(n, func(n *source.Node) { doc.scopes = append(doc.scopes, r.String(n)) })
		},
		"replaces": func(n *source.Node) {
			r.Items(n, func(n *source.Node) {
				if r.String(n) != "" {
					doc.replaces = append(doc.replaces, n)
				}
			})
		},
		"settings": func(n *source.Node) { doc.settings = readParamList(r, n, tokenBindings) },
	}, "authorize_url", "token_url")
	return doc
}

// checkOAuth checks oauth2 against the declared credentials, marks those that it replaces, and
// adds AccessToken.
func checkOAuth(r *reader, doc *integrationDoc) {
	if doc.oauth == nil {
		return
	}
	checkURL(r, doc.credentials, "authorize_url", doc.oauth.authorizeURL, doc.oauth.authorizeURLNode)
	checkURL(r, doc.credentials, "token_url", doc.oauth.tokenURL, doc.oauth.tokenURLNode)
	for _, n := range doc.oauth.replaces {
		if i := r.credential(doc.credentials, n.Text, n.Pos); i >= 0 {
			doc.credentials[i].Replaced = true
		}
	}
	for _, s := range doc.oauth.settings {
		r.credential(doc.credentials, s.name, s.pos)
	}
	if n := doc.node.Get("credentials"); n != nil {
		for _, item := range n.Items {
			if name := item.Get("name"); name != nil && name.Text == AccessToken {
				r.Diags.Errorf(name.Pos, "E006-bad-value", "the name %q is reserved for the token of oauth2", AccessToken)
			}
		}
	}
	doc.credentials = append(doc.credentials, Credential{Name: AccessToken, Label: "Access token", Secret: true, Granted: true})
}

// credential returns the index of the credential called name, and reports at pos if there is none.
func (r *reader) credential(credentials []Credential, name string, pos source.Pos) int {
	i := slices.IndexFunc(credentials, func(c Credential) bool { return c.Name == name })
	if i < 0 {
		unknownCredential(r.Diags, pos, name, credentialNames(credentials))
	}
	return i
}
