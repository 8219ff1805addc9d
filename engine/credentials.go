package engine

import (
	"maps"
	"regexp"
	"slices"

	"portolan/jsonata"
	"portolan/source"
)

// credentialsRead returns the credentials that x may read.
func credentialsRead(x *jsonata.Expr, credentials []Credential) []Credential {
	members, whole := x.Uses("context")
	var out []Credential
	for _, c := range credentials {
		if whole || slices.ContainsFunc(members, func(m jsonata.Use) bool { return m.Name == c.Name }) {
			out = append(out, c)
		}
	}
	return out
}

// usesSecret reports whether x may read a secret credential: by its name, or by reading the
// context as a whole.
func usesSecret(x *jsonata.Expr, credentials []Credential) bool {
	_, whole := x.Uses("context")
	return whole || slices.ContainsFunc(credentialsRead(x, credentials), func(c Credential) bool { return c.Secret })
}

func credentialNames(credentials []Credential) []string {
	names := make([]string, 0, len(credentials))
	for _, c := range credentials {
		names = append(names, c.Name)
	}
	return names
}

// unknownCredential reports at pos a credential that is not one of known.
func unknownCredential(diags *source.Diagnostics, pos source.Pos, name string, known []string) {
	diags.Errorf(pos, "E035-unknown-credential", "the integration has no credential %q", name)
	diags.Suggest(name, known)
}

// checkIntegrationCredentials reports undeclared credentials in the expressions of
// integration.yaml.
func (c *compiler) checkIntegrationCredentials(doc *integrationDoc) {
	params := slices.Concat(doc.authorization.header, doc.authorization.query)
	for _, name := range slices.Sorted(maps.Keys(doc.methods)) {
		params = slices.Concat(params, doc.methods[name].params.header, doc.methods[name].params.query)
	}
	for _, p := range params {
		c.checkCredentials(p.expr, doc.credentials)
	}
}

// checkMappingCredentials reports undeclared credentials in the expressions of a unified method,
// and secret ones in its response_mapping.
func (c *compiler) checkMappingCredentials(op *operationDoc, credentials []Credential) {
	for _, x := range op.requestExprs() {
		c.checkCredentials(x, credentials)
	}
	x := op.response
	if x == nil || x.Broken() {
		return
	}
	const code = "E038-secret-in-response"
	members, whole := x.Uses("context")
	for _, m := range members {
		if slices.ContainsFunc(credentials, func(cr Credential) bool { return cr.Secret && cr.Name == m.Name }) {
			c.diags.Errorf(x.At(m.Offset), code, "a response_mapping must not read the secret credential %q", m.Name)
			c.diags.Hintf("its result is sent to the caller")
		}
	}
	if whole && slices.ContainsFunc(credentials, func(c Credential) bool { return c.Secret }) {
		c.diags.Errorf(x.Pos(), code, "the expression may read all of context, which contains secret credentials")
		c.diags.Hintf("its result is sent to the caller: name each credential that it needs")
	}
}

func (c *compiler) checkCredentials(x *jsonata.Expr, credentials []Credential) {
	members, _ := x.Uses("context")
	known := credentialNames(credentials)
	for _, m := range members {
		if !slices.Contains(known, m.Name) {
			unknownCredential(c.diags, x.At(m.Offset), m.Name, known)
		}
	}
}

var secretName = regexp.MustCompile(`(^|_)(token|secret|password|passwd|api_?key|private_?key)[0-9]*(_|$)`)

// checkSecretName warns of a credential with a secret's name that declares neither secret: true
// nor secret: false. It would be shown in logs and in debug output.
func (r *reader) checkSecretName(n *source.Node, c Credential) {
	if c.Secret || n.Get("secret") != nil || !secretName.MatchString(c.Name) {
		return
	}
	r.Diags.Warnf(n.Get("name").Pos, "W002-not-declared-secret", "credential %q is named like a secret, but is not declared as one", c.Name)
	r.Diags.Hintf("write secret: true to mask it in all output, or secret: false if anybody may see it")
}
