package engine

import (
	"regexp"

	"portolan/jsonata"
	"portolan/source"
)

// The formats that a mapping folder's files declare in their first key.
const (
	FormatIntegration = "portolan/integration/v1"
	FormatMapping     = "portolan/mapping/v1"
)

// integrationDoc is integration.yaml as read.
type integrationDoc struct {
	node          *source.Node
	label         string
	baseURL       *template
	baseURLNode   *source.Node
	credentials   []Credential
	authorization paramDocs
	errors        errorsDoc
	rateLimit     rateLimitDoc
	methods       map[string]*methodDoc // by "resource.method"
	verify        *source.Node          // names one of them; nil: none
	oauth         *oauthDoc             // nil: none
}

// oauthDoc is the key oauth2: how an account connects by the customer's consent.
type oauthDoc struct {
	authorizeURL, tokenURL         *template
	authorizeURLNode, tokenURLNode *source.Node
	scopes                         []string
	replaces                       []*source.Node // names of credentials
	settings                       []param
}

// paramDocs are computed headers and query parameters.
type paramDocs struct {
	header, query []param
}

type errorsDoc struct {
	when, status, message, fields *jsonata.Expr // nil: the default
}

type rateLimitDoc struct {
	limit, remaining, reset *jsonata.Expr // nil: unknown
}

// methodDoc is one HTTP method of a provider's resource.
type methodDoc struct {
	verb             string
	path             *template
	patterns         map[string]*regexp.Regexp // of values, by the path's variable
	params           paramDocs
	form, repeatable bool
}

// mappingDoc is <model>.yaml as read.
type mappingDoc struct {
	node    *source.Node
	model   string
	methods []*operationDoc
}

// operationDoc is one unified method of a mapping.
type operationDoc struct {
	node                    *source.Node
	pos                     source.Pos // of the method's key
	resource, method        string
	step                    stepDoc // the main call
	querySchema, bodySchema *source.Node
	response                *jsonata.Expr
	record                  *source.Node // a plain path; nil: response
	remoteDataIn            *source.Node // a plain path; nil: the body itself
	before, after           []*stepDoc
}

// mainStep is the name of a method's main call.
const mainStep = "main"

// stepDoc is one provider call: the main one or a before or after step.
type stepDoc struct {
	name               string
	call               *source.Node
	pathVariables      []param
	runIf, query, body *jsonata.Expr
	bodyPos            source.Pos // of the request_body_mapping key
}
