package engine

import (
	"fmt"
	"slices"

	"portolan/jsonata"
)

// authorize computes what authenticates the call. It refuses a call that would reach the
// provider without authentication:
//
//   - an entry of authorization has no value, though it reads a required credential;
//   - no entry that reads a secret has a value, though the account must have one of those
//     credentials or has it: it is required, if only until access_token replaces it, or granted.
//
// Any other entry without a value is left out.
func (b *builder) authorize(bindings jsonata.Bindings) (header, query []Param) {
	var unmet []param // entries that could have authenticated the call
	authenticated := false
	compute := func(params []param) (out []Param) {
		for _, p := range params {
			value, present := b.param(p, bindings)
			if present {
				out = append(out, value)
			}
			switch {
			case present && value.Value != "" && (len(p.reads) == 0 || slices.ContainsFunc(p.reads, b.has)):
				authenticated = authenticated || p.secret
			case slices.ContainsFunc(p.reads, b.requires):
				b.failUnauthorized(p)
			case p.secret:
				unmet = append(unmet, p)
			}
		}
		return out
	}
	header, query = compute(b.step.Integration.authHeader), compute(b.step.Integration.authQuery)
	for _, p := range unmet {
		if !authenticated && slices.ContainsFunc(p.reads, func(c Credential) bool { return c.Required || c.Granted && b.has(c) }) {
			b.failUnauthorized(p)
		}
	}
	return header, query
}

// has reports whether the account has a value for c.
func (b *builder) has(c Credential) bool {
	v := b.account[c.Name]
	return v != nil && v != ""
}

// requires reports whether the account must have a value for c.
func (b *builder) requires(c Credential) bool {
	return c.Required && (!c.Replaced || !b.has(Credential{Name: AccessToken}))
}

// failUnauthorized says why p, an entry of authorization, has no value.
func (b *builder) failUnauthorized(p param) {
	err := fmt.Errorf("%s of the integration's authorization has no value", p.name)
	if i := slices.IndexFunc(p.reads, func(c Credential) bool { return c.Required && !b.has(c) }); i >= 0 {
		err = fmt.Errorf("credential %q is missing", p.reads[i].Name)
	}
	b.fail(&Error{Kind: KindAccount, Op: b.title, Err: err})
}
