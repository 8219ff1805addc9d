package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"portolan/jsonata"
)

// authorize computes the headers and query parameters that authenticate the call. It refuses a
// call that would reach the provider without authentication:
//
//   - an entry of authorization that reads a required credential has no value, or the account
//     lacks that credential;
//   - no entry that reads a secret has a value, although one of those credentials is required
//     (even if access_token replaces it) or granted.
//
// Other entries without a value are left out.
func (b *builder) authorize(bindings jsonata.Bindings) (header, query []Param) {
	var unmet []param // entries that could have authenticated the call
	authenticated := false
	compute := func(params []param) (out []Param) {
		for _, p := range params {
			value, present := b.param(p, bindings)
			if present {
				out = append(out, value)
			}
			present = present && !isBlank(value.Value) && (len(p.reads) == 0 || slices.ContainsFunc(p.reads, b.has))
			switch {
			case slices.ContainsFunc(p.reads, func(c Credential) bool { return b.requires(c) && (!present || !b.has(c)) }):
				b.failUnauthorized(p)
			case present:
				authenticated = authenticated || p.secret
			case p.secret:
				unmet = append(unmet, p)
			}
		}
		return out
	}
	header, query = compute(b.step.Integration.authHeader), compute(b.step.Integration.authQuery)
	for _, p := range unmet {
		if !authenticated && slices.ContainsFunc(p.reads, func(c Credential) bool { return c.Required || c.Granted }) {
			b.failUnauthorized(p)
		}
	}
	return header, query
}

// has reports whether the account has a value for c that is not blank.
func (b *builder) has(c Credential) bool {
	v := b.account[c.Name]
	return v != nil && !isBlank(v)
}

// requires reports whether the account must have a value for c.
func (b *builder) requires(c Credential) bool {
	return c.Required && (!c.Replaced || !b.has(Credential{Name: AccessToken}))
}

// isBlank reports whether v is text without anything but white space.
func isBlank(v any) bool {
	text, isText := v.(string)
	return isText && strings.TrimSpace(text) == ""
}

// failUnauthorized reports that p, an entry of authorization, has no value.
func (b *builder) failUnauthorized(p param) {
	err := fmt.Errorf("%s of the integration's authorization has no value", p.name)
	i := slices.IndexFunc(p.reads, func(c Credential) bool { return c.Required && !b.has(c) })
	switch {
	case i >= 0:
		err = fmt.Errorf("credential %q is missing", p.reads[i].Name)
	case slices.ContainsFunc(p.reads, func(c Credential) bool { return c.Granted && !b.has(c) }):
		err = errors.New("the account is not connected: it has no access token")
	}
	b.fail(&Error{Kind: KindAccount, Op: b.title, Err: err})
}
