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
)

// Integration is a compiled integration.yaml: how to reach one provider. It is immutable and
// safe for concurrent use; its slices must only be read.
type Integration struct {
	Name        string
	Label       string       // for people; the name if the file declares none
	BaseURL     string       // as written, with its variables
	Credentials []Credential // AccessToken included if accounts can be connected by consent
	Verify      *Endpoint    // the call that shows whether credentials are good; nil: none
	OAuth       *OAuth       // nil: accounts cannot be connected by consent

	language   *jsonata.Language
	base       *template
	baseSecret bool // a secret credential stands in base
	authHeader []param
	authQuery  []param
	errors     errorsDoc
	rateLimit  rateLimitDoc
	endpoints  map[string]*Endpoint // by name
}

// Credential is one value that an integrated account of the integration holds.
type Credential struct {
	Name, Label string
	Secret      bool
	Required    bool
	Pattern     *regexp.Regexp // nil: none; anchored
	Enum        []string
	Default     string
	Granted     bool // comes from the customer's consent: nobody types it in
	Replaced    bool // not required if AccessToken is there
}

// AccessToken is the credential of an account that is connected by its customer's consent.
// An integration that declares oauth2 has it without declaring it.
const AccessToken = "access_token"

// Endpoint is one method of a provider's resource, as integration.yaml declares it. It is
// immutable and safe for concurrent use.
type Endpoint struct {
	Integration *Integration
	Name        string // "memberships.update"

	version    string
	verb       string
	path       *template
	header     []param
	query      []param
	form       bool
	repeatable bool
}

// Version names the endpoint and the content of its integration.yaml:
// <integration>/<endpoint>@<hash>.
func (e *Endpoint) Version() string { return e.version }

// param is a computed header, query parameter or path variable.
type param struct {
	name   string
	expr   *jsonata.Expr
	reads  []Credential // what it may read of those that are declared
	secret bool         // a secret credential feeds it
}

// step is one provider call of a method: an endpoint, and what the mapping computes for it.
type step struct {
	*Endpoint
	name      string
	variables map[string]param // by the path's variable
	hidesPath bool             // one of them is secret
	queryMap  *jsonata.Expr
	bodyMap   *jsonata.Expr
	runIf     *jsonata.Expr
}

// account completes an account's context with the credentials' defaults and checks it against
// what the integration declares. title names what is being done, for the error.
func (in *Integration) account(title string, context Context) (map[string]any, error) {
	if problems := CheckContext(in.Credentials, context); len(problems) > 0 {
		return nil, &Error{Kind: KindAccount, Op: title, Err: errors.New(strings.Join(problems, "; "))}
	}
	return withDefaults(in.Credentials, context), nil
}

func withDefaults(credentials []Credential, context Context) map[string]any {
	out := map[string]any(context)
	copied := false
	for _, c := range credentials {
		if v, ok := context[c.Name]; (!ok || v == nil || v == "") && c.Default != "" {
			if !copied {
				if out = maps.Clone(out); out == nil {
					out = map[string]any{}
				}
				copied = true
			}
			out[c.Name] = c.Default
		}
	}
	if out == nil {
		out = map[string]any{}
	}
	return out
}

// Fault is how a credential of an account's context is wrong.
type Fault int

// The faults.
const (
	FaultMissing Fault = iota
	FaultType          // no text where there must be
	FaultFormat        // a control character, or not of the pattern
	FaultEnum          // none of those allowed
)

// ContextProblem is what is wrong with one credential of an account's context.
type ContextProblem struct {
	Credential Credential
	Fault      Fault
	Message    string // one sentence that names the credential, without its value
}

// CheckContext says what of an integrated account's context breaks its integration's
// credentials, one sentence each, without the values.
func CheckContext(credentials []Credential, context Context) []string {
	var out []string
	for _, p := range ContextProblems(credentials, context) {
		out = append(out, p.Message)
	}
	return out
}

// ContextProblems is CheckContext for those who ask which credential each sentence is about.
func ContextProblems(credentials []Credential, context Context) []ContextProblem {
	token, _ := context[AccessToken].(string)
	var problems []ContextProblem
	for _, c := range credentials {
		found := func(fault Fault, predicate string) {
			problems = append(problems, ContextProblem{c, fault, fmt.Sprintf("credential %q %s", c.Name, predicate)})
		}
		value, present := context[c.Name]
		text, isText := value.(string)
		switch {
		case !present || value == nil || value == "":
			if c.Required && c.Default == "" && (!c.Replaced || token == "") {
				found(FaultMissing, "is missing")
			}
		case !isText:
			if c.Pattern != nil || c.Enum != nil || c.Secret {
				found(FaultType, "must be text")
			}
		case strings.ContainsFunc(text, unicode.IsControl): // most end up in headers
			found(FaultFormat, "holds a control character")
		case c.Pattern != nil && !c.Pattern.MatchString(text):
			found(FaultFormat, "does not match its pattern")
		case c.Enum != nil && !slices.Contains(c.Enum, text):
			found(FaultEnum, "is none of "+strings.Join(c.Enum, ", "))
		}
	}
	return problems
}
