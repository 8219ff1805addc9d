package engine

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"portolan/jsonata"
	"portolan/source"
)

// Integration is a compiled integration.yaml: how to call one provider. It is immutable and
// safe for concurrent use. Its slices must only be read.
type Integration struct {
	Name        string
	Label       string       // for display; the name if the file declares none
	BaseURL     string       // as written, with its variables
	Credentials []Credential // AccessToken included if accounts can be connected by consent
	Verify      *Endpoint    // the call that shows whether credentials are good; nil: none
	OAuth       *OAuth       // nil: accounts cannot be connected by consent

	language              *jsonata.Language
	base                  *template
	baseSecret            bool // base contains a secret credential
	authHeader, authQuery []param
	errors                errorsDoc
	rateLimit             rateLimitDoc
	endpoints             map[string]*Endpoint // by name
}

// Credential is one value that an integrated account of the integration holds.
type Credential struct {
	Name, Label      string
	Help, HelpURL    string // where a person finds it; the URL is https
	Secret, Required bool
	Pattern          *regexp.Regexp // nil: none; anchored
	Enum             []string
	Default          string
	Granted          bool // comes from the customer's consent, not from a form
	Replaced         bool // not required if there is an AccessToken
}

// AccessToken is the credential of an account that is connected by its customer's consent.
// An integration that declares oauth2 has it without declaring it.
const AccessToken = "access_token"

// Endpoint is one method of a provider's resource, as integration.yaml declares it. It is
// immutable and safe for concurrent use.
type Endpoint struct {
	Integration *Integration
	Name        string // "memberships.update"

	version, verb    string
	path             *template
	patterns         map[string]*regexp.Regexp // of values, by the path's variable
	header, query    []param
	form, repeatable bool
}

// Version names the endpoint and the content of its integration.yaml:
// <integration>/<endpoint>@<hash>.
func (e *Endpoint) Version() string { return e.version }

// param is a computed header, query parameter or path variable.
type param struct {
	name   string
	pos    source.Pos // of the name
	expr   *jsonata.Expr
	reads  []Credential // the declared credentials that it may read
	secret bool         // it may read a secret one
}

// step is one provider call of a method: an endpoint with the mapping's expressions.
type step struct {
	*Endpoint
	name                     string
	variables                map[string]param // by the path's variable
	hidesPath                bool             // one of them is secret
	runIf, queryMap, bodyMap *jsonata.Expr
	record                   []string // names of the path to the record in the answer; nil if it is in another one
}

// exprs returns all expressions of s.
func (s *step) exprs() []*jsonata.Expr {
	out := []*jsonata.Expr{s.runIf, s.bodyMap, s.queryMap}
	for _, v := range s.variables {
		out = append(out, v.expr)
	}
	return slices.DeleteFunc(out, func(x *jsonata.Expr) bool { return x == nil })
}

// account checks an account's context against the declared credentials and adds their
// defaults. title is for the error.
func (in *Integration) account(title string, context Context) (map[string]any, error) {
	if problems := CheckContext(in.Credentials, context); len(problems) > 0 {
		return nil, &Error{Kind: KindAccount, Op: title, Err: errors.New(strings.Join(problems, "; "))}
	}
	return withDefaults(in.Credentials, context), nil
}

// withDefaults returns context with the defaults of missing credentials; context itself if there
// are none.
func withDefaults(credentials []Credential, context Context) map[string]any {
	needsDefault := func(c Credential) bool {
		v := context[c.Name]
		return c.Default != "" && (v == nil || v == "")
	}
	if context != nil && !slices.ContainsFunc(credentials, needsDefault) {
		return context
	}
	out := map[string]any{}
	maps.Copy(out, context)
	for _, c := range credentials {
		if needsDefault(c) {
			out[c.Name] = c.Default
		}
	}
	return out
}

// Fault is the way in which a credential of an account's context is invalid.
type Fault int

// The faults.
const (
	FaultMissing Fault = iota
	FaultType          // it must be text
	FaultFormat        // it contains a control character, or does not match the pattern
	FaultEnum          // it is not an allowed value
)

// ContextProblem is an invalid credential of an account's context.
type ContextProblem struct {
	Credential Credential
	Fault      Fault
	Message    string // one sentence that names the credential, without its value
}

// CheckContext returns the messages of ContextProblems.
func CheckContext(credentials []Credential, context Context) []string {
	var out []string
	for _, p := range ContextProblems(credentials, context) {
		out = append(out, p.Message)
	}
	return out
}

// ContextProblems returns the credentials of an account's context that are missing or invalid.
func ContextProblems(credentials []Credential, context Context) []ContextProblem {
	token, _ := context[AccessToken].(string)
	var problems []ContextProblem
	for _, c := range credentials {
		found := func(fault Fault, predicate string) {
			problems = append(problems, ContextProblem{c, fault, fmt.Sprintf("credential %q %s", c.Name, predicate)})
		}
		value := context[c.Name]
		text, isText := value.(string)
		switch {
		case c.Required && c.Default == "" && (!c.Replaced || isBlank(token)) && (value == nil || isBlank(value)):
			found(FaultMissing, "is missing")
		case value == nil || value == "":
		case !isText:
			if c.Pattern != nil || c.Enum != nil || c.Secret {
				found(FaultType, "must be text")
			}
		case strings.ContainsFunc(text, unicode.IsControl): // most end up in headers
			found(FaultFormat, "contains a control character")
		case c.Pattern != nil && !c.Pattern.MatchString(text):
			found(FaultFormat, "does not match its pattern")
		case c.Enum != nil && !slices.Contains(c.Enum, text):
			found(FaultEnum, "must be one of "+strings.Join(c.Enum, ", "))
		}
	}
	return problems
}
