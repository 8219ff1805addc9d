package engine

import (
	"regexp"

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
