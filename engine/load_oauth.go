package engine

import (
	"slices"

	"portolan/source"
)

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

// checkOAuth holds oauth2 against the credentials that the account has otherwise, and
// completes them: with AccessToken, and with which of them it replaces.
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
	for _, n := range credentialNodes(doc.node) {
		if name := n.Get("name"); name != nil && name.Text == AccessToken {
			r.Diags.Errorf(name.Pos, "E006-bad-value", "%q is what oauth2 gives, and no name for another credential", AccessToken)
		}
	}
	doc.credentials = append(doc.credentials, Credential{Name: AccessToken, Label: "Access token", Secret: true, Granted: true})
}

// credentialNodes are the credentials as written; none if the key is missing or is not a list.
func credentialNodes(root *source.Node) []*source.Node {
	if n := root.Get("credentials"); n != nil {
		return n.Items
	}
	return nil
}

// credential finds the credential called name; what there is none of is reported at pos.
func (r *reader) credential(credentials []Credential, name string, pos source.Pos) int {
	i := slices.IndexFunc(credentials, func(c Credential) bool { return c.Name == name })
	if i < 0 {
		unknownCredential(r.Diags, pos, name, credentialNames(credentials))
	}
	return i
}
