package engine

import (
	"maps"
	"regexp"
	"slices"

	"portolan/jsonata"
	"portolan/source"
)

// params returns docs with the credentials that they may read. One that reads context as a whole
// may read any of them.
func params(docs []param, credentials []Credential) []param {
	out := slices.Clone(docs)
	for i, d := range docs {
		members, whole := d.expr.Uses("context")
		out[i].secret = whole
		for _, c := range credentials {
			if whole || slices.ContainsFunc(members, func(m jsonata.Use) bool { return m.Name == c.Name }) {
				out[i].reads, out[i].secret = append(out[i].reads, c), out[i].secret || c.Secret
			}
		}
	}
	return out
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
// integration.yaml. Authorization must name each credential: a mistake in a computed name would
// send calls without authentication.
func (c *compiler) checkIntegrationCredentials(doc *integrationDoc) {
	params := slices.Concat(doc.authorization.header, doc.authorization.query)
	for _, p := range params {
		if _, whole := p.expr.Uses("context"); whole && !p.expr.Broken() {
			c.diags.Errorf(p.expr.Pos(), "E039-unnamed-credential", "%s reads context as a whole or a computed member of it", p.name)
			c.diags.Hintf("name each credential, as in context.api_key")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(doc.methods)) {
		params = slices.Concat(params, doc.methods[name].params.header, doc.methods[name].params.query)
	}
	for _, p := range params {
		checkCredentials(c.diags, p.expr, doc.credentials, true)
	}
}

// checkMappingCredentials reports undeclared credentials in the expressions of a unified method,
// and secret ones in its response_mapping.
func (c *compiler) checkMappingCredentials(op *operationDoc, credentials []Credential) {
	for _, x := range op.requestExprs() {
		checkCredentials(c.diags, x, credentials, true)
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

// checkCredentials reports credentials that x names but that are not declared or, unless secrets
// is set, that are secret.
func checkCredentials(diags *source.Diagnostics, x *jsonata.Expr, credentials []Credential, secrets bool) {
	names := credentialNames(credentials)
	visible := credentialNames(slices.DeleteFunc(slices.Clone(credentials), func(c Credential) bool { return c.Secret && !secrets }))
	members, _ := x.Uses("context")
	for _, m := range members {
		switch {
		case slices.Contains(visible, m.Name):
		case slices.Contains(names, m.Name):
			diags.Errorf(x.At(m.Offset), "E037-secret-credential", "an override must not read the secret credential %q", m.Name)
		default:
			unknownCredential(diags, x.At(m.Offset), m.Name, visible)
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
